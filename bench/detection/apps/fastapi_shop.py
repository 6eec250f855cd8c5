"""A shop whose API lists the models it sells."""

from fastapi import FastAPI

app = FastAPI(title="Shop")


@app.get("/v1/models")
def models():
    return {"data": [], "next": None}


@app.get("/health")
def health():
    return {"status": "ok"}
