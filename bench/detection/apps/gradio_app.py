"""A chat that a model behind it would answer."""

import sys

import gradio

chat = gradio.ChatInterface(lambda message, history: message, title="Ask the handbook")
chat.launch(server_name=sys.argv[1], server_port=int(sys.argv[2]))
