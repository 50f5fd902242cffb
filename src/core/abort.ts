// Listening to an AbortSignal without leaving anything on it.
//
// A long-lived signal (one per app, say) is shared by thousands of calls. Each call adding its own
// listener piles them up and makes Node warn (undici#3157); so each signal gets ONE listener of ours,
// which fans out to the calls that wait at that moment, and goes with the last of them.

const waiting = new WeakMap<AbortSignal, Set<() => void>>()

function fanOut(this: AbortSignal): void {
  const callbacks = waiting.get(this)
  waiting.delete(this)
  if (callbacks) for (const callback of callbacks) callback()
}

/**
 * Calls `callback` once when `signal` aborts: at once when it has already.
 * @returns a function that stops listening; calling it late or twice does no harm
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) {
    callback()
    return () => {}
  }
  let callbacks = waiting.get(signal)
  if (!callbacks) {
    callbacks = new Set()
    waiting.set(signal, callbacks)
    signal.addEventListener('abort', fanOut)
  }
  // A wrapper of its own: the same callback may wait twice.
  const entry = () => callback()
  callbacks.add(entry)
  return () => {
    callbacks.delete(entry)
    if (callbacks.size === 0 && waiting.get(signal) === callbacks) {
      waiting.delete(signal)
      signal.removeEventListener('abort', fanOut)
    }
  }
}
