"""Runs docs/verify_custody.py on many exports in one process.

stdin: a JSON list of [text, key or null]. stdout: a JSON list of [exit code, what it printed]."""
import contextlib, io, json, sys, tempfile

script = sys.argv[1]
with open(script, encoding="utf-8") as source:
    program = compile(source.read(), script, "exec")
answers = []
with tempfile.NamedTemporaryFile("wb", suffix=".jsonl") as file:
    for text, key in json.load(sys.stdin):
        file.seek(0)
        file.truncate()
        file.write(text.encode())
        file.flush()
        sys.argv = [script, file.name] + ([key] if key else [])
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            try:
                exec(program, {"__name__": "__main__"})
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException as crash:  # a verifier that crashes has given no verdict
                code = f"{type(crash).__name__}: {crash}"
        answers.append([code, printed.getvalue().strip()])
print(json.dumps(answers))
