// A Web Lock as a thing that is held until it is released, or until its page is gone (Web Locks API, w3c.github.io/web-locks).

import { StorageError } from '../StorageError.ts'

export interface WebLock {
  /** Resolves when the next may have it. May be called twice. */
  release(): Promise<void>
}

/**
 * Takes the lock `name`, or `undefined` when another page, worker or part of this page holds it for longer than
 * `timeoutMs`.
 * @throws StorageError `unavailable` without Web Locks, and what the platform throws
 */
export async function takeWebLock(name: string, timeoutMs: number): Promise<WebLock | undefined> {
  const locks: LockManager | undefined = globalThis.navigator?.locks
  if (!locks) {
    throw new StorageError('there are no Web Locks here: serve the page over https:, or from localhost', {
      reason: 'unavailable',
    })
  }
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
  return new Promise((resolve, reject) => {
    const options = timeoutMs > 0 ? { signal: AbortSignal.timeout(timeoutMs) } : { ifAvailable: true }
    const gone = locks
      .request(name, options, (lock) => {
        if (!lock) {
          resolve(undefined)
          return undefined
        }
        const release = () => {
          letGo()
          return gone
        }
        resolve({ release })
        return held
      })
      .then(
        () => {},
        (error: unknown) => {
          // Too late for the signal to mean anything once the lock is held.
          if ((error as { name?: unknown } | null)?.name === 'TimeoutError') resolve(undefined)
          else reject(error)
        },
      )
  })
}
