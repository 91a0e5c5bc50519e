"""known.txt: the differences that are meant, one rule a line, each with its reason."""

import re


class Rule:
    """Three patterns, for the request and both replies; `*` stands for anything, everything else for itself."""

    def __init__(self, number, line):
        fields = [field.strip() for field in line.split(" | ")]
        if len(fields) != 4 or not fields[3]:
            raise ValueError(f"known.txt, line {number}: not `request | redis | larder | reason`: {line!r}")
        self.line = line
        self.stop = fields[0].startswith("!")
        self.patterns = [self._compile(field) for field in (fields[0].lstrip("!"), fields[1], fields[2])]
        self.used = 0

    @staticmethod
    def _compile(glob):
        return re.compile(".*".join(re.escape(part) for part in glob.split("*")), re.DOTALL | re.IGNORECASE)

    def matches(self, *texts):
        return all(pattern.fullmatch(text) for pattern, text in zip(self.patterns, texts))


class Known:
    def __init__(self, path):
        lines = enumerate(path.read_text().splitlines(), 1)
        self.rules = [Rule(number, line) for number, line in lines if line and not line.startswith("#")]

    def rule(self, request, redis, larder):
        for rule in self.rules:
            if rule.matches(request, redis, larder):
                rule.used += 1
                return rule
        return None
