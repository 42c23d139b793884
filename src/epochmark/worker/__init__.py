"""The process that trains: one engine, one device, one run; also in foreign interpreters."""
