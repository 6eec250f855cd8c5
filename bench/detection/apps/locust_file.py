"""Users who do nothing: the server is what the lab looks at."""

from locust import HttpUser, task


class Nobody(HttpUser):
    host = "http://127.0.0.1:9"

    @task
    def nothing(self):
        pass
