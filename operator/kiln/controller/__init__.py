"""From events to reconciliations: event filter, work queue, requeue, backoff."""
