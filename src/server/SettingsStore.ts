// The user's settings, in memory and, when asked, in a file.

import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import type { Logger } from '../core/logger.ts'

export type Settings = Readonly<Record<string, unknown>>

export class SettingsStore {
  readonly #file: string | undefined
  #settings: Settings = {}
  /** Writes follow one another: two at once could end with the older one on disk. */
  #writing: Promise<void> = Promise.resolve()

  /** A file that is missing is made at the first change; one that cannot be read is reported and left as it is. */
  constructor(file: string | undefined, logger: Logger | undefined) {
    this.#file = file
    if (file === undefined) return
    try {
      this.#settings = JSON.parse(readFileSync(file, 'utf8'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        logger?.warn(`settings of ${file} cannot be read:`, error)
    }
  }

  get(): Settings {
    return this.#settings
  }

  /** Overlays what is there; resolves when it is on disk. */
  async merge(changes: Settings): Promise<Settings> {
    this.#settings = { ...this.#settings, ...changes }
    const written = this.#settings
    if (this.#file !== undefined) {
      const file = this.#file
      const write = this.#writing.then(() => replaceFile(file, JSON.stringify(written, null, 2)))
      this.#writing = write.catch(() => {})
      await write
    }
    return written
  }
}

/** Written beside and renamed: whoever reads sees the old file or the new one, never half of one. */
async function replaceFile(file: string, content: string): Promise<void> {
  const beside = `${file}.${process.pid}.tmp`
  await writeFile(beside, `${content}\n`, { mode: 0o600 })
  await rename(beside, file)
}
