"""TGIBF ("Thank God It's Black Friday"): a load generator that plays the telephony provider.

It POSTs call events at a webhook, in growing bursts or at a steady rate, and accounts for every
one of them: acknowledged, refused, or unknown. Run it with `python -m tgibf URL`.
"""
