// Parts that not every app uses are files of their own, fetched when first asked for.

import { CommsError } from './errors.ts'

/**
 * A part that `load` brings with `import()`: as a promise until it is there, then at once.
 * @throws CommsError `LOAD_FAILED` when it cannot be had; asked again, it is tried again
 */
export function lazily<T extends object>(load: () => Promise<T>): () => T | Promise<T> {
  let part: T | undefined
  return () =>
    part ??
    load().then(
      (loaded) => {
        part = loaded
        return loaded
      },
      (cause: unknown) => {
        const message = 'a part of the library could not be loaded'
        throw new CommsError(message, { code: 'LOAD_FAILED', cause })
      },
    )
}

/** Fetches a part ahead of its use. Whether that goes well is seen when it is used. */
export function ahead(part: () => unknown): void {
  Promise.resolve(part()).catch(() => {})
}
