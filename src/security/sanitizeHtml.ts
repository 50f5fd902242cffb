// HTML made safe to render, by DOMPurify: an optional peer, because nothing of our own would do.
// In Node it needs a DOM as well: jsdom, or happy-dom.

import { CommsError } from '../core/errors.ts'

/** The part of DOMPurify that is used. */
interface Purifier {
  readonly isSupported: boolean
  sanitize(html: string, config: Record<string, unknown>): unknown
}
type PurifierModule = { readonly default: ((window: unknown) => Purifier) & Partial<Purifier> }

function missing(what: string, cause: unknown): CommsError {
  return new CommsError(`sanitizeHtml needs ${what}`, { code: 'UNSUPPORTED', cause })
}

/** Names in variables: bundlers leave optional peers alone and the compiler does not ask for their types. */
async function load(name: string): Promise<Record<string, unknown>> {
  return (await import(/* @vite-ignore */ name)) as Record<string, unknown>
}

async function createWindow(): Promise<unknown> {
  try {
    const { JSDOM } = (await load('jsdom')) as { JSDOM: new (html: string) => { window: unknown } }
    return new JSDOM('').window
  } catch (noJsdom) {
    try {
      const { Window } = (await load('happy-dom')) as { Window: new () => unknown }
      return new Window()
    } catch {
      throw missing('a DOM: outside of browsers install "jsdom" (or "happy-dom")', noJsdom)
    }
  }
}

let purifier: Promise<Purifier> | undefined

async function loadPurifier(): Promise<Purifier> {
  let module: PurifierModule
  try {
    module = (await load('dompurify')) as unknown as PurifierModule
  } catch (cause) {
    throw missing('the package "dompurify": npm install dompurify', cause)
  }
  const create = module.default
  const ready = create.isSupported ? (create as unknown as Purifier) : create(await createWindow())
  if (!ready.isSupported) throw missing('a DOM that DOMPurify supports', undefined)
  return ready
}

/**
 * HTML with everything removed that could run script.
 * @param config options of DOMPurify, such as `{ ALLOWED_TAGS: ['b', 'i'] }`; its result is always a string
 * @throws TypeError when `html` is no string; CommsError (`UNSUPPORTED`) when a package is not installed
 */
export async function sanitizeHtml(
  html: string,
  config: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  if (typeof html !== 'string') throw new TypeError('sanitizeHtml: html must be a string')
  purifier ??= loadPurifier()
  let ready: Purifier
  try {
    ready = await purifier
  } catch (error) {
    purifier = undefined // it may be installed or a DOM be there by the next call
    throw error
  }
  const wanted = {
    ...config,
    RETURN_DOM: false,
    RETURN_DOM_FRAGMENT: false,
    RETURN_TRUSTED_TYPE: false,
    IN_PLACE: false,
  }
  return String(ready.sanitize(html, wanted))
}
