// The settings, in memory and, when asked, in a file.

import { readFileSync, statSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import type { Logger } from '../core/logger.ts'
import { parseJson } from '../core/parseJson.ts'
import { randomId } from '../core/randomId.ts'
import { HttpRefusal } from './readJson.ts'

/** A file that a person has indented is larger than what it holds. */
const FILE_FACTOR = 16

export type Settings = Readonly<Record<string, unknown>>

export class SettingsStore {
  readonly #file: string | undefined
  readonly #maxBytes: number
  #settings: Settings = {}
  /** The file holds something that is no settings: it is somebody's, and put aside before the first write. */
  #foreign = false
  /** Changes follow one another: two writes at once could end with the older one on disk. */
  #changing: Promise<unknown> = Promise.resolve()

  /** A file that is missing is made at the first change; what cannot be read as settings is reported and kept aside. */
  constructor(file: string | undefined, maxBytes: number, logger: Logger | undefined) {
    this.#file = file
    this.#maxBytes = maxBytes
    if (file === undefined) return
    try {
      this.#settings = readSettings(file, FILE_FACTOR * maxBytes)
    } catch (error) {
      this.#foreign = true
      logger?.warn(`the settings in ${file} cannot be read, they will be kept as ${file}.unreadable:`, error)
    }
  }

  get(): Settings {
    return this.#settings
  }

  /**
   * Overlays what is there; resolves to the whole when it is on disk. What cannot be written is not in force either.
   * @throws HttpRefusal 413 when all settings together would be too large
   */
  merge(changes: Settings): Promise<Settings> {
    const change = this.#changing.then(() => this.#merge(changes))
    this.#changing = change.catch(() => {})
    return change
  }

  async #merge(changes: Settings): Promise<Settings> {
    const merged = { ...this.#settings, ...changes }
    const text = JSON.stringify(merged)
    if (Buffer.byteLength(text) > this.#maxBytes) {
      throw new HttpRefusal(413, `the settings are larger than ${this.#maxBytes} bytes in all`)
    }
    if (this.#file !== undefined) await this.#write(this.#file, `${text}\n`)
    this.#settings = merged
    return merged
  }

  async #write(file: string, text: string): Promise<void> {
    if (this.#foreign) {
      await rename(file, `${file}.unreadable`)
      this.#foreign = false
    }
    await replaceFile(file, text)
  }
}

/** @throws for a file that is there and no JSON object, or too large a one */
function readSettings(file: string, maxBytes: number): Settings {
  let text: string
  try {
    const { size } = statSync(file)
    if (size > maxBytes) throw new RangeError(`the file has ${size} bytes, at most ${maxBytes} are read`)
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError('no JSON object')
  return value as Settings
}

/** Written beside, flushed and renamed: whoever reads sees the old file or the new one, never half of one. */
async function replaceFile(file: string, text: string): Promise<void> {
  const beside = `${file}.${randomId().slice(0, 8)}.tmp`
  try {
    const handle = await open(beside, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(beside, file)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
}
