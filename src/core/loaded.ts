// Parts that not every app uses are files of their own, fetched when first asked for.

import { CommsError } from './errors.ts'

/**
 * The part that an `import()` brings.
 * @throws CommsError `LOAD_FAILED` when it cannot be had
 */
export function loaded<T>(part: Promise<T>): Promise<T> {
  return part.catch((cause: unknown) => {
    throw new CommsError('a part of the library could not be loaded: is every file of the build there?', {
      code: 'LOAD_FAILED',
      cause,
    })
  })
}
