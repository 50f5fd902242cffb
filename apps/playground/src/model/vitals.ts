// The view model: what the panels read, in words of their own.

import { FaultPeriods } from './FaultPeriods.ts'
import { OutcomeBins } from './OutcomeBins.ts'
import { Samples } from './Samples.ts'
import { StateHistory } from './StateHistory.ts'

/** What the recorder shows. */
export const WINDOW_MS = 60_000

/** Everything that is drawn over time. */
export class Recording {
  readonly line = new StateHistory(WINDOW_MS)
  readonly session = new StateHistory(WINDOW_MS)
  /** When the other side has acknowledged something. */
  readonly acks = new Samples(WINDOW_MS)
  readonly breaker = new StateHistory(WINDOW_MS)
  /** Milliseconds. */
  readonly latency = new Samples(WINDOW_MS)
  /** Messages. */
  readonly queue = new Samples(WINDOW_MS)
  /** Messages. */
  readonly unacknowledged = new Samples(WINDOW_MS)
  readonly outcomes = new OutcomeBins(1000, WINDOW_MS)
  readonly faults = new FaultPeriods(WINDOW_MS)
}

export type SessionName =
  /** There was none yet. */
  | 'none'
  /** The line carries it. */
  | 'open'
  /** The line is down, and both sides keep what they have. */
  | 'kept'
  /** Gone for good; the next one is to come. */
  | 'lost'

/** A session that is gone. */
export interface Loss {
  readonly reason: string
  /** Messages of which nobody knows whether they were handled. */
  readonly inDoubt: number
  /** On the clock of the recording. */
  readonly at: number
}

export type BreakerName = 'closed' | 'open' | 'half-open'

export interface Bucket {
  readonly category: string
  /** Such as `GET /v1/models`. */
  readonly endpoint: string
  readonly tokens: number
  readonly capacity: number
  /** Tokens a second. */
  readonly rate: number
}

/** What is wrong on purpose. */
export interface Faults {
  readonly failRate: number
  readonly latencyMs: number
  /** Milliseconds for which the backend stays away. */
  readonly awayMs: number
}

/** What a button asks for. */
export type FaultChange = Partial<Faults> & { readonly cut?: true }

/** How things stand at this moment. */
export interface Vitals {
  /** On the clock of the recording. */
  readonly now: number
  readonly state: string
  readonly status: string
  /** Since when the line is in its state. */
  readonly since: number
  readonly attempts: number
  /** Milliseconds until the next attempt, while waiting. */
  readonly nextAttemptMs: number | undefined
  /** How often the line came back. */
  readonly recoveries: number
  readonly sent: number
  readonly received: number
  readonly dropped: number
  readonly queuedMessages: number
  readonly queuedBytes: number
  readonly droppedAudio: number
  readonly session: {
    readonly state: SessionName
    /** Messages that were sent and not acknowledged. */
    readonly unacknowledged: number
    /** When something was acknowledged last, on the clock of the recording. */
    readonly ackedAt: number | undefined
    /** The latest one that was lost. */
    readonly loss: Loss | undefined
  }
  readonly breaker: {
    readonly state: BreakerName
    readonly failures: number
    readonly requests: number
    /** Milliseconds until a probe, while open. */
    readonly probeMs: number | undefined
  }
  readonly buckets: readonly Bucket[]
  readonly http: { readonly calls: number; readonly retries: number; readonly failed: number }
  /** `unknown` before the first connection, `none` where the backend takes no faults. */
  readonly faults: Faults | 'unknown' | 'none'
}
