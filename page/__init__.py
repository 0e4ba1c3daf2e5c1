"""The page's parts: HTML of answers, the Gradio blocks, the web app around them."""
