"""Tests of wbagent, and the test bed that they run on."""
