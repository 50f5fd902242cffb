// Leaving an iteration whose source may hang.

import { onAbort } from '../core/abort.ts'

/**
 * Passes on what `source` gives, and ends as soon as `signal` aborts, whether or not the source notices: one that hangs in
 * mid-piece cannot hold up who iterates.
 */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]()
  let ended = false
  try {
    while (!signal.aborted) {
      const result = await nextUnlessAborted(iterator, signal)
      if (!result) return
      if (result.done) {
        ended = true
        return
      }
      yield result.value
    }
  } catch (error) {
    ended = true
    throw error
  } finally {
    // Told to clean up, but not waited for: it may be the one that hangs.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => {})
  }
}

/** Listens anew for each piece, so that a long reply leaves nothing on its signal. */
function nextUnlessAborted<T>(
  iterator: AsyncIterator<T>,
  signal: AbortSignal,
): Promise<IteratorResult<T> | undefined> {
  return new Promise((resolve, reject) => {
    const release = onAbort(signal, () => resolve(undefined))
    iterator.next().then(resolve, reject).finally(release)
  })
}
