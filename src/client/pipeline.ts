// The layers of policies/ around the attempts of a client's calls, and what they go by: its settings, and each call's own options.

import { CommsError, TimeoutError } from '../core/errors.ts'
import type { Outcome } from '../core/outcome.ts'
import { breakerOutcome } from '../http/classify.ts'
import { BreakerLayer } from '../policies/circuitBreaker/BreakerLayer.ts'
import { type Inner, nest } from '../policies/layer.ts'
import { LimiterLayer } from '../policies/rateLimiter/LimiterLayer.ts'
import { retryBackoff } from '../policies/retry/options.ts'
import { RetryLayer } from '../policies/retry/RetryLayer.ts'
import { TimeoutLayer } from '../policies/timeout/TimeoutLayer.ts'
import { Attempt } from './attempt.ts'
import type { Call } from './call.ts'
import type { ClientCore } from './core.ts'

/** Retry, breaker, limiter, timeout, attempt: see ARCHITECTURE.md for why in this order. */
export function pipelineOf(core: ClientCore): Inner<Call> {
  const { settings, breakers, tools, counters } = core
  const { clock, random, unref, jitter, maxRetryAfter, shouldRetry } = settings
  return nest<Call>(
    [
      new RetryLayer({
        clock,
        random,
        unref,
        maxRetryAfter,
        shouldRetry,
        backoff: retryBackoff(settings),
        decorrelated: jitter === 'decorrelated',
        budget: tools.budget,
        retries: ({ options }) => options.retries ?? settings.retries,
        handle: (error, { latest }) => latest?.isRepeatable(error) ?? false,
        onRetry({ error, attempt, delayMs }, call) {
          call.latest?.discard()
          counters.retries += 1
          if (error instanceof CommsError) error.attempts = call.attempts
          call.tell('warn', 'retry', { attempt, delay: Math.ceil(delayMs), error })
        },
        onStop(reason, call) {
          if (settings.enableLogging) core.log('debug', 'no retry', { ...call.about, reason })
        },
      }),
      new BreakerLayer({
        clock,
        machineOf: ({ prepared }) =>
          settings.circuitBreaker ? breakers.of(prepared.target.origin) : undefined,
        classify,
        probeMs: (call, now) => call.limit(now),
        nameOf: ({ prepared }) => prepared.target.origin,
      }),
      new LimiterLayer({
        clock,
        unref,
        limiter: core.limiter,
        queues: settings.rateLimitMode === 'wait',
        retriesWait: true,
        demandOf: (call) => call,
        join: (endpoint, bucket, request) => core.waitForToken(endpoint, bucket, request),
        onLimited: (event, call) => call.tell('debug', 'limited', event),
      }),
      new TimeoutLayer({
        clock,
        deadlines: tools.deadlines,
        limitMs: (call, now) => call.limit(now),
        timeoutError: (call) => call.timeoutError(),
      }),
    ],
    {
      enter(call, { attempt }, ending) {
        counters.attempts += 1
        call.attempts += 1
        call.latest = new Attempt(call, attempt, call.now(clock), ending)
        call.tell('debug', 'attempt', { attempt })
        call.latest.start()
      },
    },
  )
}

/** An attempt that no time was left for says nothing about the server. */
function classify(error: unknown): Outcome {
  return error instanceof TimeoutError && error.timeoutMs === 0 ? 'ignored' : breakerOutcome(error)
}
