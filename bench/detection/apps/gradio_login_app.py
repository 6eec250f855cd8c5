"""A chat behind Gradio's login page. The password is the value of LAB_KEY."""

import os
import sys

import gradio

chat = gradio.ChatInterface(lambda message, history: message, title="Ask the handbook")
chat.launch(server_name=sys.argv[1], server_port=int(sys.argv[2]), auth=("lab", os.environ["LAB_KEY"]))
