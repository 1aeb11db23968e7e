"""Rewrites the golden texts; read the difference before it is committed."""

from tests.plan.test_golden import GOLDEN, texts

if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.iterdir():
        path.unlink()
    for name, text in texts().items():
        (GOLDEN / name).write_text(text, encoding="utf-8")
