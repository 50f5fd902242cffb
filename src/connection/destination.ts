// Where the line goes, asked anew at every attempt, and what has to be known about that place afterwards.

import { CommsError } from '../core/errors.ts'
import { checkOption, text } from '../core/options.ts'
import type { Provider, ResolvedConnectionOptions } from './options.ts'
import { toHealthUrl, toWebSocketUrl } from './url.ts'

/** What one attempt needs to know. */
export interface Address {
  readonly url: string
  readonly token: string | undefined
}

type DestinationOptions = Pick<ResolvedConnectionOptions, 'url' | 'token' | 'healthUrl'>

async function ask<T>(name: string, provider: Provider<T>): Promise<T> {
  if (typeof provider !== 'function') return provider
  try {
    return await (provider as () => T | PromiseLike<T>)()
  } catch (cause) {
    throw new CommsError(`option "${name}": the function failed`, { code: 'CONNECTION', cause })
  }
}

export class Destination {
  readonly #options: DestinationOptions
  /** The latest address. */
  #url = ''
  /** The address, query apart, that has answered a ping of the app's own kind. */
  #pongsFrom: string | undefined

  constructor(options: DestinationOptions) {
    this.#options = options
  }

  /**
   * Asks the app.
   * @param withToken whether a token could be sent at all
   * @throws CommsError `CONNECTION` when a function of the app fails, TypeError when it returns something wrong
   */
  async find(withToken: boolean): Promise<Address> {
    const { url, token } = this.#options
    this.#url = toWebSocketUrl(await ask('url', url)).href
    const found = withToken ? await ask('token', token) : undefined
    if (found !== undefined) checkOption('GuruConnection', 'token', found, text)
    return { url: this.#url, token: found }
  }

  /** The health address beside the latest address; undefined before there was one, and when there shall be none. */
  get healthUrl(): string | undefined {
    const { healthUrl } = this.#options
    return this.#url && healthUrl !== false ? toHealthUrl(new URL(this.#url), healthUrl) : undefined
  }

  /** A pong of the app's own kind came: silence after such a ping will mean something there from now on. */
  sawPong(): void {
    this.#pongsFrom = this.#place
  }

  /** Whether that place has answered such a ping before. */
  get answersPings(): boolean {
    return this.#pongsFrom === this.#place
  }

  /** Query apart: a ticket in it changes with every attempt. */
  get #place(): string | undefined {
    return this.#url.split('?', 1)[0]
  }
}
