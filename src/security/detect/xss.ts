// Script injection: would this text, landing in text, an attribute, a comment, raw text or a URL, run script?
// Knows HTML's grammar and what is dangerous in it; does not know where the text will land, so it tries every place.

import { decodeEntities, findInForms } from './decode.ts'
import type { Finding, Hit } from './finding.ts'
import { EMBEDDED, EMBEDDING, isEventHandler, NOT_EVENTS } from './htmlNames.ts'
import { tagNameEnd, walkAttributes } from './htmlTokenizer.ts'
import { isActiveDataUrl, isScriptUrl, isStyleDataUrl, mayHoldScheme, scriptUrlEnd } from './urlSchemes.ts'

// Marks of walks: what was refused in one kind of walk may count in another.
const IN_TAG = 1
const IN_EMBEDDING = 2
const FROM_QUOTE = 4
const FROM_START = 8

/** Anything in style rules that fetched or ran script in some engine. */
const ACTIVE_CSS =
  /(?:java|vb|live)script[\0-\x20]*:|expression[\0-\x20]*\(|@import|-moz-binding|behaviou?r[\0-\x20]*:[\0-\x20]*url/i
const ACTIVE_CSS_FROM = new RegExp(ACTIVE_CSS, 'gi')
const STYLE_END_FROM = /<\/style/gi
const CSS_NOISE = /\/\*[^*]*\*\/|\\/g
/** An encoding in which `<` is written with letters. */
const UTF7 = /(?:^|charset\s*=)[\s'"]*(?:x-)?utf-?7/i
/** Target of a `meta` refresh or of a `Link` header in disguise. */
const IN_CONTENT =
  /(?:^|[;,=])[\0-\x20'"]*(?:url[\0-\x20]*=[\0-\x20'"]*)?((?:j|v|l|d)[\w\0-\x20]{3,40}:[^;]*)/gi
/** Code rather than words: a call, a template call, an assignment, an index. */
const CODE = /[\w$\])][\t\n\r]*(?:\(|`|\[|=|\?\.)|=|\b(?:throw|new)\b|%28/
/** Words that carry no URL although some people start them with one. */
const PLAIN_TEXT: ReadonlySet<string> = new Set(['title', 'alt', 'placeholder', 'aria-label', 'label'])

/** Without one of these no attribute outside of a tag is worth a look. */
const ATTRIBUTE_SIGN = /\b(?:on[a-z]{3}|style\b)/i

/** A value that HTML hands to the script engine and that cannot even be parsed there: JSX cut at the first blank. */
function cannotRun(value: string): boolean {
  if (value[0] !== '{') return false
  let depth = 0
  let end = 0
  for (let at = 0; at < value.length; at += 1) {
    const char = value[at]
    if (char === '{' || char === '(') depth++
    else if (char === '}' || char === ')') depth--
    if (depth === 0 && end === 0) end = at + 1
  }
  if (depth !== 0) return true
  // What follows the block runs, whatever the block is.
  if (value.slice(end).trim() !== '') return false
  // A block that only names something, or only defines a function.
  return /^\{[\w$.?]*\}$/.test(value) || /^\{(?:async)?(?:\([\w$,]*\)|[\w$]+)=>/.test(value)
}

/** Whether this attribute of an embedding element, or of `base`, names a document that is not the page's own. */
function embeds(name: string, value: string): boolean {
  return value !== '' && (EMBEDDED.has(name) || (name === 'href' && /^\s*(?:[\\/]\s*[\\/]|\w+:)/.test(value)))
}

/** The reason why this attribute is dangerous; empty when it is not. */
function judge(name: string, value: string, mark: number): string {
  if (name.startsWith('on') && name.length > 3 && value !== '') {
    const known = isEventHandler(name)
    if (mark <= IN_EMBEDDING) {
      if ((known || (/^on[a-z]{2}/.test(name) && !NOT_EVENTS.has(name))) && !cannotRun(value)) {
        return 'event handler attribute'
      }
    } else if (known && CODE.test(decodeEntities(value))) return 'event handler attribute'
  }
  if (value.length < 4) return ''
  if (value.includes(':') || value.includes('&') || name === 'content' || name === 'charset') {
    const decoded = decodeEntities(value)
    if (!PLAIN_TEXT.has(name)) {
      if (isScriptUrl(decoded)) return 'script URL in an attribute'
      if (isActiveDataUrl(decoded) && (name !== 'src' || !/^[\0-\x20]*data:image/i.test(decoded))) {
        return 'active data URL in an attribute'
      }
      if (name === 'href' && isStyleDataUrl(decoded)) return 'style rules in a data URL'
    }
    if ((name === 'content' || name === 'charset') && UTF7.test(decoded)) return 'encoding that hides markup'
    if (name === 'content') {
      for (const [, url = ''] of decoded.matchAll(IN_CONTENT)) {
        if (isScriptUrl(url) || isActiveDataUrl(url)) return 'script URL in a refresh'
      }
    }
  }
  if (name === 'style' && ACTIVE_CSS.test(decodeEntities(value).replace(CSS_NOISE, '')))
    return 'script in a style'
  if (name === 'attributename' && /^(?:xlink:)?href$|^on|^innerhtml$/i.test(value)) {
    return 'animation of an active attribute'
  }
  if (name === 'srcdoc' && decodeEntities(value).includes('<')) return 'embedded document'
  return ''
}

/** How much of a Markdown link's target is looked at: more than a scheme with what may be strewn into it. */
const TARGET = 80
/** An expression of AngularJS or Vue that climbs to the constructor of functions, which compiles text. */
const TEMPLATE = /\{\{[^{}]{0,200}\bconstructor\b[^{}]{0,200}\(/

/** Links and images of Markdown whose target runs script: `[x](javascript:...)`, `[x]: javascript:...`. */
function findMarkdownLink(text: string): Hit | null {
  if (!mayHoldScheme(text) && !text.includes('&')) return null
  for (let at = text.indexOf(']'); at >= 0; at = text.indexOf(']', at + 1)) {
    const sign = text[at + 1]
    if (sign !== '(' && sign !== ':') continue
    const target = decodeEntities(text.slice(at + 2, at + 2 + TARGET)).replace(/^[\s<]+/, '')
    const rest = target.slice(scriptUrlEnd(target))
    if ((rest.length < target.length && CODE.test(rest)) || isActiveDataUrl(target)) {
      return { start: at, end: at + 2, reason: 'script URL in a link' }
    }
  }
  return null
}

/** Looks at one form of the text. */
export function findMarkup(text: string): Hit | null {
  const url = findUrl(text) ?? findMarkdownLink(text)
  if (url) return url
  const template = text.includes('{{') ? text.search(TEMPLATE) : -1
  if (template >= 0) return { start: template, end: template + 2, reason: 'template that runs script' }
  let open = text.indexOf('<')
  const attributes = text.includes('=') && ATTRIBUTE_SIGN.test(text)
  const schemes = mayHoldScheme(text) || text.includes('&')
  if (open < 0 && !attributes && !schemes) return null

  let seen: Uint8Array | undefined
  let hit: Hit | null = null
  /** Walks the attributes from `start`; `from` is where the place that a finding names begins. */
  const walk = (start: number, from: number, mark: number): boolean => {
    seen ??= new Uint8Array(text.length + 1)
    return walkAttributes(text, start, seen, mark, (nameStart, nameEnd, valueStart, valueEnd) => {
      if (valueStart < 0 || nameEnd - nameStart > 64) return false
      const name = text.slice(nameStart, nameEnd).toLowerCase()
      const reason =
        mark === IN_EMBEDDING && embeds(name, text.slice(valueStart, valueEnd))
          ? 'embedding element'
          : judge(name, text.slice(valueStart, valueEnd), mark)
      if (reason === '') return false
      hit = { start: from < 0 ? nameStart : from, end: valueEnd, reason }
      return true
    })
  }

  let nameEnd = 0
  let danger = -2 // the next dangerous piece of CSS, looked for once a `style` element is met
  for (; open >= 0; open = text.indexOf('<', open + 1)) {
    const code = text.charCodeAt(open + 1) | 0x20
    if (!((code >= 0x61 && code <= 0x7a) || code === 0x3f || code === 0x2f || code === 0x21)) continue
    if (open + 1 >= nameEnd) nameEnd = tagNameEnd(text, open + 2)
    const name = nameEnd - open < 32 ? text.slice(open + 1, nameEnd).toLowerCase() : ''
    if (name === 'script' || name.endsWith(':script')) {
      return { start: open, end: nameEnd, reason: 'script element' }
    }
    if (name === 'style') {
      if (danger !== -1 && danger < nameEnd) {
        ACTIVE_CSS_FROM.lastIndex = nameEnd
        danger = ACTIVE_CSS_FROM.exec(text)?.index ?? -1
      }
      STYLE_END_FROM.lastIndex = nameEnd
      const end = danger < 0 ? 0 : (STYLE_END_FROM.exec(text)?.index ?? text.length)
      if (danger >= 0 && danger < end) return { start: open, end: danger + 10, reason: 'script in a style' }
    }
    if (walk(nameEnd, open, EMBEDDING.has(name) ? IN_EMBEDDING : IN_TAG)) return hit
  }

  // Landing inside a quoted attribute, which the first such quote ends; then inside a tag, without any quote.
  if (attributes || schemes) {
    for (const quote of ['"', "'"]) {
      const at = text.indexOf(quote)
      if (at >= 0 && walk(at + 1, -1, FROM_QUOTE)) return hit
      // Landing where a value is to begin: there a quote opens it, and the next one ends it.
      if (at < 0 || text.slice(0, at).trim() !== '') continue
      const end = text.indexOf(quote, at + 1)
      if (end >= 0 && walk(end + 1, -1, FROM_QUOTE)) return hit
    }
    if (walk(0, -1, FROM_START)) return hit
  }
  return null
}

/** The whole text as a URL: `javascript:` followed by what looks like code, not by a title. */
function findUrl(text: string): Hit | null {
  const colon = text.indexOf(':')
  if (colon < 0 || colon > 4096) return null
  if (isActiveDataUrl(text)) return { start: 0, end: colon + 1, reason: 'active data URL' }
  const end = scriptUrlEnd(text)
  if (end === 0) return null
  const rest = text.slice(end)
  // Nobody writes a tab or a line's end within the scheme but to get past somebody.
  const code =
    /\w[\t\r\n]+\w/.test(text.slice(0, end)) ||
    (/^\s/.test(rest)
      ? /^\s+(?:[\w$.]+(?:\(|`|\[|\s?=)|\/[/*]|["'([])/.test(rest)
      : CODE.test(rest) || /^(?:\/[/*]|["'%([\\])/.test(rest))
  return code ? { start: 0, end: colon + 1, reason: 'script URL' } : null
}

/** Finds script injection in any form of the text. */
export function detectXss(text: string): Finding | null {
  return findInForms(text, findMarkup)
}
