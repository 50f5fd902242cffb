// A Web Lock as a thing that is held until it is released, or until its page is gone (Web Locks API, w3c.github.io/web-locks).

import { StorageError } from '../StorageError.ts'

export interface WebLock {
  /** Whether somebody has stolen it. */
  readonly lost: boolean
  /** Resolves when the next may have it. May be called twice. */
  release(): Promise<void>
}

/**
 * Takes the lock `name`, or `undefined` when another page, worker or part of this page holds it for longer than
 * `timeoutMs`. `steal` takes it from whoever has it.
 * @throws StorageError `unavailable` without Web Locks, and what the platform throws
 */
export async function takeWebLock(
  name: string,
  timeoutMs: number,
  steal = false,
): Promise<WebLock | undefined> {
  const locks = webLocks()
  if (!locks) {
    throw new StorageError('there are no Web Locks here: serve the page over https:, or from localhost', {
      reason: 'unavailable',
    })
  }
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  return new Promise((resolve, reject) => {
    let lost = false
    const gone = locks
      .request(name, options(timeoutMs, steal), (lock) => {
        if (!lock) {
          resolve(undefined)
          return undefined
        }
        resolve({
          get lost() {
            return lost
          },
          release() {
            release()
            return gone
          },
        })
        return held
      })
      .then(
        () => {},
        (error: unknown) => {
          const { name } = (error ?? {}) as { name?: unknown }
          // Once the lock is held, only who steals it ends the request early.
          lost = name === 'AbortError'
          if (name === 'TimeoutError') resolve(undefined)
          else reject(error)
        },
      )
  })
}

function options(timeoutMs: number, steal: boolean): LockOptions {
  if (steal) return { steal }
  return timeoutMs > 0 ? { signal: AbortSignal.timeout(timeoutMs) } : { ifAvailable: true }
}

/** The platform's; `undefined` where there are none, or a frame may not have them. */
export function webLocks(): LockManager | undefined {
  try {
    return globalThis.navigator?.locks
  } catch {
    return undefined
  }
}
