// What a client tells of its decisions. URLs in events carry no secrets.

import type { BreakerReason, BreakerStateName } from '../policies/circuitBreaker/breakerMachine.ts'
import type { LearnedLimit } from '../policies/rateLimiter/learnRateLimits.ts'

/** Where the time of one attempt went, in milliseconds; `NaN` where it did not get so far. */
export interface AttemptTimings {
  readonly attempt: number
  /** From its start until the request was written: connecting, where there was no connection. */
  readonly untilSent: number
  /** From its start until the headers of the answer. */
  readonly untilHeaders: number
  /** From its start to its end. */
  readonly total: number
}

interface CallEvent {
  /** The same in all events of one call, another for each call of this client. */
  readonly callId: number
  readonly method: string
  readonly url: string
}

/** The events of an ApiClient. */
export type ApiClientEvents = {
  /** An attempt starts; 1 is the first. */
  attempt: [CallEvent & { readonly attempt: number }]
  /** An attempt failed and will be repeated after `delay` milliseconds. */
  retry: [CallEvent & { readonly attempt: number; readonly delay: number; readonly error: unknown }]
  /** The answer is slow: the same call is made once more (`hedge`). */
  hedge: [CallEvent]
  /** The breaker of an origin changed. */
  breaker: [{ readonly origin: string; readonly state: BreakerStateName; readonly reason: BreakerReason }]
  /** A call was refused by the limiter, or waits for a token. */
  limited: [
    CallEvent & {
      readonly endpoint: string
      readonly category: string
      readonly waiting: boolean
      /** Milliseconds until a token is there. */
      readonly retryAfter: number
    },
  ]
  /** An answer told of the server's own limit (`learnRateLimits`). */
  learned: [LearnedLimit & { readonly endpoint: string; readonly category: string }]
  /** A call was answered. */
  response: [
    CallEvent & {
      readonly status: number
      readonly attempts: number
      readonly duration: number
      readonly timings: readonly AttemptTimings[]
    },
  ]
  /** A call failed for good. */
  failure: [CallEvent & { readonly error: unknown; readonly attempts: number; readonly duration: number }]
}
