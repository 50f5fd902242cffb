// What a shared limiter is asked, and what it answers.

import type { SharedLimiterState } from './options.ts'

/** What a call asks for. */
export interface SharedLimitRequest {
  /** Tokens. @default 1 */
  cost?: number
  signal?: AbortSignal | undefined
  /** When the caller must be done, on the limiter's clock. @default Infinity */
  deadlineAt?: number
}

/** What was decided. */
export interface SharedLimitResult {
  allowed: boolean
  /** Milliseconds until the same request would be let through, as far as is known; 0 when it was. */
  retryAfter: number
}

/** Counts since the start. */
export interface SharedLimiterStats {
  state: SharedLimiterState
  /** Calls that were let through, and refused. */
  allowed: number
  limited: number
  /** Calls that wait. */
  waiting: number
  /** Questions to the engine. */
  roundTrips: number
  /** How many processes share the bucket, itself included; 0 before it knows. */
  processes: number
  /** What it could spend now without asking. */
  tokens: number
}
