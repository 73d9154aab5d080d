"""Servers that speak OpenAI's API: Ollama, llama.cpp, LM Studio, vLLM, OpenRouter, OpenAI and others."""
