"""Chat benchmarks whose answers a judge grades: questions, answers, prompts, judges, verdicts, tables."""
