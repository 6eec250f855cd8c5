"""A service of BentoML without a model."""

import bentoml


@bentoml.service
class Lab:
    @bentoml.api
    def answer(self, question: str) -> str:
        return question
