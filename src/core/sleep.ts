// Waiting, and being woken.

import { onAbort } from './abort.ts'
import type { Clock } from './clock.ts'

/**
 * Resolves after `delayMs`; when `signal` aborts first, rejects with what `abortError` makes, leaving no timer.
 * @param unref whether the timer lets the process end
 */
export function sleep(
  clock: Clock,
  delayMs: number,
  signal: AbortSignal | undefined,
  abortError: () => unknown,
  unref = false,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let release: (() => void) | undefined
    const timer = clock.setTimeout(
      () => {
        release?.()
        resolve()
      },
      delayMs,
      unref,
    )
    if (signal) {
      release = onAbort(signal, () => {
        clock.clearTimeout(timer)
        reject(abortError())
      })
    }
  })
}
