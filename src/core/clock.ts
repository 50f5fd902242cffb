// Time as an argument. Policies and machines receive numbers; shells receive a Clock.
// `systemClock.ts` is the real one, `testing/VirtualClock.ts` the one tests turn by hand.

/** What a `Clock` hands out for a pending timer: give it back to `clearTimeout`, nothing else. */
export type TimerHandle = unknown

/** The source of time of every part: pass another one to test without waiting. */
export interface Clock {
  /** Milliseconds on a scale that never runs backwards. Only differences mean something. */
  now(): number
  /** Milliseconds since the epoch, as the wall clock has it: it may jump. For dates only. */
  wallNow(): number
  /**
   * Calls `callback` once, `delayMs` milliseconds from now.
   * @param unref when true, this timer alone does not keep a Node process alive
   */
  setTimeout(callback: () => void, delayMs: number, unref?: boolean): TimerHandle
  /** Withdraws a timer; an unknown or already fired one is ignored. */
  clearTimeout(handle: TimerHandle): void
  /** Whether a pending timer keeps a Node process alive from now on. Where this is missing, timers are cleared and set anew. */
  hold?(handle: TimerHandle, wanted: boolean): void
}

/** The longest delay a JavaScript timer keeps (2^31 - 1 ms, 24.8 days): beyond, it fires at once. */
export const MAX_TIMER_MS = 2_147_483_647
