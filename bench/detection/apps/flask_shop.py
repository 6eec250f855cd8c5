"""A shop that asks everyone to sign in."""

from flask import Flask, jsonify

app = Flask(__name__)


@app.before_request
def sign_in():
    return jsonify(error={"message": "Invalid API key", "type": "invalid_request_error"}), 401
