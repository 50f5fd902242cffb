// Iterating a source that may hang, and that is the app's: what it does wrong is an error of the iteration.

import { onAbort } from '../core/abort.ts'
import { call, kindOf } from './guard.ts'

/**
 * Passes on what `source` gives until it ends. When `signal` aborts it throws the reason at once, whether or not the
 * source notices: one that hangs in mid-piece cannot hold up who iterates, and what was cut off cannot pass for whole.
 */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  signal.throwIfAborted()
  if (typeof source?.[Symbol.asyncIterator] !== 'function')
    throw new TypeError(`an async iterable of text is expected, came ${kindOf(source)}`)
  const iterator = source[Symbol.asyncIterator]()
  let ended = false
  try {
    for (;;) {
      const { done, value } = await nextUnlessAborted(iterator, signal)
      if (done === true) {
        ended = true
        signal.throwIfAborted()
        return
      }
      yield value
      signal.throwIfAborted()
    }
  } catch (error) {
    // What has thrown needs no telling that it is over.
    ended ||= !signal.aborted
    throw error
  } finally {
    // Told to clean up, but not waited for: it may be the one that hangs.
    if (!ended) void call(() => iterator.return?.())
  }
}

/** Listens anew for each piece, so that a long reply leaves nothing on its signal. */
function nextUnlessAborted<T>(iterator: AsyncIterator<T>, signal: AbortSignal): Promise<IteratorResult<T>> {
  return new Promise((resolve, reject) => {
    const release = onAbort(signal, () => reject(signal.reason))
    void call(() => iterator.next()).then((called) => {
      release()
      if (!called.ok) reject(called.error)
      else if (typeof called.value === 'object' && called.value !== null)
        resolve(called.value as IteratorResult<T>)
      else reject(new TypeError('the next of an iterator must give an object'))
    })
  })
}
