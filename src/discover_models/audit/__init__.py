"""The audit of the coverage document: facts with their lines, pure rules, findings."""
