// HTML made safe to render, by DOMPurify: an optional peer, because nothing of our own would do.
// In Node it needs a DOM as well: jsdom, or happy-dom. DOMPurify is as good as the DOM under it, and some let script
// through (happy-dom up to 21 does), so nothing is trusted before it has cleaned a sample.

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

const SAMPLE =
  '<p onclick="x()">a<b>c</b></p><script>x()</script><a href="javascript:x()">d</a><div><img src="x" onerror="x()"></div>' +
  '<svg><style><img src="x" onerror="x()"></style></svg><iframe srcdoc="<script>x()</script>"></iframe>'

/** Whether this DOMPurify cleans at all in the DOM that it stands on. */
function works(purifier: Purifier): boolean {
  if (!purifier.isSupported) return false
  const clean = String(purifier.sanitize(SAMPLE, {}))
  return clean.includes('<p>a<b>c</b></p>') && !/on\w+=|script|iframe/.test(clean)
}

/** Windows to be had here, best first. */
const WINDOWS: readonly (() => Promise<unknown>)[] = [
  async () => new ((await load('jsdom')).JSDOM as new (html: string) => { window: unknown })('').window,
  async () => new ((await load('happy-dom')).Window as new () => unknown)(),
]

let purifier: Promise<Purifier> | undefined

async function loadPurifier(): Promise<Purifier> {
  let module: PurifierModule
  try {
    module = (await load('dompurify')) as unknown as PurifierModule
  } catch (cause) {
    throw missing('the package "dompurify": npm install dompurify', cause)
  }
  const create = module.default
  if (create.isSupported && works(create as unknown as Purifier)) return create as unknown as Purifier
  let cause: unknown
  for (const open of WINDOWS) {
    try {
      const made = create(await open())
      if (works(made)) return made
    } catch (error) {
      cause ??= error
    }
  }
  throw missing('a DOM in which DOMPurify works: outside of browsers install "jsdom"', cause)
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
