#!/usr/bin/python3
# A stand-in for an age plugin, because none can be had here: it speaks the plugin protocol v1 (C2SP), and keeps nothing secret. What a file
# called `error` beside it holds, it answers instead; one called `pin` holds what it asks for before it opens anything.
import base64
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def beside(name):
    try:
        with open(os.path.join(HERE, name), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def receive():
    line = sys.stdin.readline()
    if not line.startswith("-> "):
        sys.exit(1)
    words, text = line[3:].rstrip("\n").split(" "), ""
    while True:
        line = sys.stdin.readline().rstrip("\n")
        text += line
        if len(line) < 64:
            return words, base64.b64decode(text + "=" * (-len(text) % 4))


def send(words, body=b""):
    text = base64.b64encode(body).decode().rstrip("=")
    lines = [text[start : start + 64] for start in range(0, len(text) + 1, 64)]
    print("-> " + " ".join(words), *lines, sep="\n", flush=True)


def ask(words, body=b""):
    send(words, body)
    return receive()


def turned(key):
    return bytes(byte ^ 0x5A for byte in key)


def commands():
    while True:
        words, body = receive()
        if words[0] == "done":
            return
        yield words, body


def wrap():
    keys, count = [], 0
    for words, body in commands():
        count += words[0] == "add-recipient"
        if words[0] == "wrap-file-key":
            keys.append(body)
    error = beside("error")
    if error is not None:
        ask(["error", "recipient", "0"], error)
    else:
        for number, key in enumerate(keys):
            for _ in range(count):
                ask(["recipient-stanza", str(number), "test", "dGFn"], turned(key))
    send(["done"])


def unwrap():
    stanzas = [(words, body) for words, body in commands() if words[0] == "recipient-stanza" and words[2] == "test"]
    error, pin = beside("error"), beside("pin")
    if error is not None:
        ask(["error", "internal"], error)
    elif pin is not None and ask(["request-secret"], b"PIN of the stand-in")[1] != pin.strip():
        ask(["error", "internal"], b"that is not the PIN")
    else:
        for words, body in stanzas[:1]:
            ask(["file-key", words[1]], turned(body))
    send(["done"])


{"--age-plugin=recipient-v1": wrap, "--age-plugin=identity-v1": unwrap}[sys.argv[1]]()
