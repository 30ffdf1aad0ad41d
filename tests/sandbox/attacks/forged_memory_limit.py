"""Pretend that the memory limit was reached, by the exit status."""

import os

import kit

assert kit.WORLD
os._exit(137)
