"""Telling people: messages, the outbox that keeps them over a crash, and their delivery."""
