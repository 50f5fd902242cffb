// Listening to an AbortSignal without leaving anything on it.
//
// A long-lived signal (one per app, say) is shared by thousands of calls. Each call adding its own
// listener piles them up and makes Node warn (undici#3157); so each signal gets ONE listener of ours,
// which fans out to the calls that wait at that moment, and goes with the last of them.

import { SlotList, type Slotted } from './slotList.ts'

interface Waiter extends Slotted {
  readonly callback: () => void
}

const waiting = new WeakMap<AbortSignal, SlotList<Waiter>>()

function fanOut(this: AbortSignal): void {
  const waiters = waiting.get(this)
  waiting.delete(this)
  if (!waiters) return
  for (const waiter of waiters.snapshot()) {
    // One callback may release another.
    if (waiters.has(waiter)) waiter.callback()
  }
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
  const waiters = waiting.get(signal) ?? listenTo(signal)
  const waiter: Waiter = { callback, place: 0 }
  waiters.add(waiter)
  return () => {
    waiters.delete(waiter)
    if (waiters.size > 0 || waiting.get(signal) !== waiters) return
    waiting.delete(signal)
    signal.removeEventListener('abort', fanOut)
  }
}

function listenTo(signal: AbortSignal): SlotList<Waiter> {
  const waiters = new SlotList<Waiter>()
  waiting.set(signal, waiters)
  signal.addEventListener('abort', fanOut)
  return waiters
}
