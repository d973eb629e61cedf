# Threads, subprocesses, asyncio, multiprocessing, ctypes, TLS, SQLite, signals.
python3 -u python3.py
