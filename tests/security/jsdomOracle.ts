// What a browser's HTML engine makes of a text: jsdom parses a page that holds it, runs scripts, follows script URLs and
// fires every handler, and tells whether the marker function `hit` was called.

import { Script } from 'node:vm'

/** The part of jsdom that is used. */
interface Dom {
  readonly window: Record<string, unknown> & {
    readonly document: {
      querySelectorAll(selector: string): Iterable<{
        readonly attributes: Iterable<{ readonly name: string; readonly value: string }>
        readonly localName: string
        readonly [handler: string]: unknown
      }>
    }
    close(): void
  }
}
export interface Jsdom {
  readonly JSDOM: new (html: string, options: object) => Dom
  readonly VirtualConsole: new () => object
}

/** Where an application may put a value. */
export const CONTEXTS: Readonly<Record<string, (value: string) => string>> = {
  text: (value) => `<div>${value}</div>`,
  'double-quoted attribute': (value) => `<div title="${value}">x</div>`,
  'single-quoted attribute': (value) => `<div title='${value}'>x</div>`,
  'unquoted attribute': (value) => `<div title=${value}>x</div>`,
  comment: (value) => `<!-- ${value} --><p>x</p>`,
  'raw text': (value) => `<textarea>${value}</textarea><p>x</p>`,
  style: (value) => `<style>${value}</style><p>x</p>`,
  URL: (value) => `<a href="${value.replaceAll('&', '&amp;').replaceAll('"', '&quot;')}">x</a>`,
}

export async function loadJsdom(): Promise<Jsdom | null> {
  const name = 'jsdom' // in a variable: the compiler asks for no types of it
  try {
    return (await import(name)) as unknown as Jsdom
  } catch {
    return null
  }
}

const URL_ATTRIBUTES = /^(?:href|src|action|formaction|xlink:href|data)$/
const NAVIGATES = /^(?:a|area|iframe|frame|form|button|input|embed|object)$/

/** Whether this is a script that mentions the marker. @throws SyntaxError where it is no script */
function couldRun(code: string): boolean {
  new Script(code)
  return /hit\b/.test(code)
}

/** Whether the value runs script when it lands in this context. */
export function executes({ JSDOM, VirtualConsole }: Jsdom, context: string, value: string): boolean {
  let ran = false
  const place = CONTEXTS[context] as (value: string) => string
  const dom = new JSDOM(`<!doctype html><body>${place(value)}</body>`, {
    url: 'https://page.example/',
    runScripts: 'dangerously',
    virtualConsole: new VirtualConsole(),
    beforeParse(window: Record<string, unknown>) {
      window.hit = () => {
        ran = true
      }
    },
  })
  for (const element of dom.window.document.querySelectorAll('*')) {
    for (const { name, value: text } of [...element.attributes]) {
      if (/^on/.test(name) && typeof element[name] === 'function') {
        try {
          ;(element[name] as () => void)()
        } catch {
          // A handler that fails afterwards has run all the same.
        }
      } else if (URL_ATTRIBUTES.test(name) && NAVIGATES.test(element.localName)) {
        // Followed by hand: jsdom navigates later, and only from elements it knows how to follow.
        try {
          const url = new URL(text, 'https://page.example/')
          if (url.protocol === 'javascript:') ran ||= couldRun(decodeURIComponent(url.href.slice(11)))
        } catch {
          // No URL, or no script.
        }
      }
    }
  }
  dom.window.close()
  return ran
}
