// The one file that reads the machine's time and sets its timers.

import { type Clock, MAX_TIMER_MS, type TimerHandle } from './clock.ts'

/** The machine's own clock: `performance.now`, `Date.now`, `setTimeout`. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  setTimeout(callback, delayMs, unref = false): TimerHandle {
    const handle = setTimeout(callback, Math.min(delayMs, MAX_TIMER_MS))
    // In browsers a handle is a number and there is nothing to release.
    if (unref && typeof handle === 'object') handle.unref()
    return handle
  },
  clearTimeout(handle) {
    clearTimeout(handle as ReturnType<typeof setTimeout>)
  },
  hold(handle, wanted) {
    if (typeof handle === 'object') (handle as NodeJS.Timeout | undefined)?.[wanted ? 'ref' : 'unref']()
  },
}
