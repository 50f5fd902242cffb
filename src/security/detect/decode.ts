// The forms under which a text may reach its interpreter: percent, entity and script escapes undone a bounded number
// of times, invisible characters dropped, compatibility characters folded. Keeps the way back to original offsets.
// Does not know what is looked for.

import type { Finding, Hit } from './finding.ts'

/** One rewriting: every match of `pattern` is replaced by `decode(match)`. */
interface Step {
  readonly name: string
  /** A character without which `pattern` cannot match; looked for first because it is cheap. */
  readonly sign: string
  readonly pattern: RegExp
  readonly decode: (match: string) => string
}

/** The character, or nothing where the number is no code point. */
function fromCode(code: number): string {
  return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : ''
}

/** UTF-8 without the check for shortest form: overlong encodings are exactly what is smuggled. */
function fromUtf8(escaped: string): string {
  const { length } = escaped
  let code = Number.parseInt(escaped.slice(1, 3), 16)
  if (length > 3) code &= 0x7f >> (length / 3)
  for (let at = 4; at < length; at += 3)
    code = (code << 6) | (Number.parseInt(escaped.slice(at, at + 2), 16) & 0x3f)
  return fromCode(code)
}

// The references of HTML that stand for ASCII or for nothing visible. Names are case-sensitive there; here a wrong
// case decodes too, which costs nothing and catches filters that fold case.
const NAMED = new Map<string, string>(
  (
    'tab:\t newline:\n excl:! quot:" num:# dollar:$ percnt:% amp:& apos:\' lpar:( rpar:) ast:* midast:* plus:+ comma:, ' +
    'period:. sol:/ colon:: semi:; lt:< equals:= gt:> quest:? commat:@ lsqb:[ lbrack:[ bsol:\\ rsqb:] rbrack:] ' +
    'hat:^ lowbar:_ underbar:_ grave:` lcub:{ lbrace:{ vert:| verbar:| verticalline:| rcub:} rbrace:} ' +
    'nbsp:\u00a0 shy: zwj: zwnj: zerowidthspace: nobreak:'
  )
    .split(' ')
    .map((pair): [string, string] => {
      const colon = pair.indexOf(':')
      return [pair.slice(0, colon), pair.slice(colon + 1)]
    }),
)

function fromEntity(entity: string): string {
  const name = entity.slice(1).replace(';', '').toLowerCase()
  if (name[0] !== '#') return NAMED.get(name) ?? entity
  return fromCode(name[1] === 'x' ? Number.parseInt(name.slice(2), 16) : Number.parseInt(name.slice(1), 10))
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', v: '\v', f: '\f', '0': '' }

/** `\x3c`, `\u003c`, `\u{3c}`, `\74`, `\n`: what a JavaScript or JSON string literal makes of it. */
function fromEscape(escaped: string): string {
  const kind = escaped[1] as string
  if (kind === 'x' || kind === 'u' || kind === 'U') {
    return fromCode(Number.parseInt(escaped.slice(2).replace(/[{}]/g, ''), 16))
  }
  return ESCAPES[escaped.slice(1)] ?? fromCode(Number.parseInt(escaped.slice(1), 8))
}

const PERCENT: Step = {
  name: 'percent',
  sign: '%',
  pattern:
    /%u[\da-f]{4}|%[cd][\da-f]%[89ab][\da-f]|%e[\da-f](?:%[89ab][\da-f]){2}|%f[0-7](?:%[89ab][\da-f]){3}|(?:%(?!00)[0-7][\da-f]){1,999}|%[\da-f]{2}/gi,
  decode: (match) => {
    const kind = match[1] as string
    if (kind === 'u' || kind === 'U') return fromCode(Number.parseInt(match.slice(2), 16))
    // ASCII comes in runs, but for NUL, which is dropped.
    return kind < '8' && match !== '%00' ? decodeURIComponent(match) : fromUtf8(match)
  },
}
const ENTITY: Step = {
  name: 'entity',
  sign: '&',
  pattern: /&(?:#\d{1,9};?|#x[\da-f]{1,8};?|[a-z]{2,14};|(?:lt|gt|quot|amp|nbsp))/gi,
  decode: fromEntity,
}
const ESCAPE: Step = {
  name: 'escape',
  sign: '\\',
  pattern: /\\(?:x[\da-f]{2}|u[\da-f]{4}|u\{0*[\da-f]{1,6}\}|[0-3]?[0-7]{1,2}|[nrtvf])/gi,
  decode: fromEscape,
}
/** A form field in a query string: blanks travel as `+`. Only a text without any blank can be one. */
const PLUS: Step = { name: 'plus', sign: '+', pattern: /\+/g, decode: () => ' ' }

// What renders as nothing and is dropped by one layer or another: NUL, soft hyphen, joiners, zero-width, marks.
const INVISIBLE: Step = {
  name: 'invisible',
  sign: '',
  pattern:
    /\u034f|[\u180b-\u180d]|[\ufe00-\ufe0f]|[\0\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g,
  decode: () => '',
}
// Compatibility characters (NFKC), and the quotes that best-fit conversions of databases turn into ASCII ones.
const FOLD: Step = {
  name: 'fold',
  sign: '',
  pattern:
    /[\u0131\u017f\u02b9\u02bc\u02c8\u2018\u2019\u2032\u2024\u2039\u203a\u2044\u207a-\u207e\u208a-\u208e\u2100-\u213f\u24b6-\u24e9\ufe50-\ufe6b]|\ud835[\udc00-\udfff]/g,
  decode: fold,
}
/** Full-width ASCII, by far the most frequent of them: in runs, unit for unit. */
const FULL_WIDTH: Step = {
  name: 'fold',
  sign: '',
  pattern: /[\uff01-\uff5e]{1,999}/g,
  decode: (run) => run.normalize('NFKC'),
}
function fold(match: string): string {
  return LIKE_ASCII[match] ?? match.normalize('NFKC')
}
const LIKE_ASCII: Readonly<Record<string, string>> = {
  // Upper-cased and lower-cased again they are these.
  '\u0131': 'i',
  '\u017f': 's',
  '\u02b9': "'",
  '\u02bc': "'",
  '\u02c8': "'",
  '\u2018': "'",
  '\u2019': "'",
  '\u2032': "'",
  '\u2039': '<',
  '\u203a': '>',
  '\u2044': '/',
}

const STEPS: readonly Step[] = [
  INVISIBLE,
  FULL_WIDTH,
  FOLD,
  PERCENT,
  PERCENT,
  PLUS,
  ENTITY,
  ENTITY,
  ESCAPE,
  FULL_WIDTH,
  FOLD,
  INVISIBLE,
]
// biome-ignore lint/suspicious/noControlCharactersInRegex: NUL and everything beyond ASCII
const UNUSUAL = /[^\x01-\x7f]/
const BLANK = /\s/

/** Texts below this length leave too little garbage to matter, and the engine's own way is the fastest. */
const SHORT = 16_384
/** How many units are joined at once. */
const CHUNK = 1024

/** The same string in one piece: V8 joins lazily and keeps all the pieces until somebody reads. */
function flat(text: string): string {
  text.charCodeAt(0)
  return text
}

/** A text after some steps. */
interface Form {
  readonly text: string
  readonly step: Step | undefined
  readonly parent: Form | undefined
}

/**
 * Decodes every match. What `replace` does, but without a piece of garbage per escape that lives until the end: on a text
 * that is all escapes, collecting those would cost more than the work.
 */
function rewrite(text: string, { pattern, decode }: Step): string {
  if (text.length < SHORT) return text.replace(pattern, decode)
  pattern.lastIndex = 0
  let match = pattern.exec(text)
  if (!match) return text
  const parts: string[] = []
  let pieces = ''
  let from = 0
  for (; match; match = pattern.exec(text)) {
    if (match.index > from) pieces += text.slice(from, match.index)
    pieces += decode(match[0])
    from = match.index + match[0].length
    if (pieces.length < CHUNK) continue
    parts.push(flat(pieces))
    pieces = ''
  }
  parts.push(pieces, text.slice(from))
  return parts.join('') // in one piece: what reads it unit by unit would stumble over the seams
}

/** Where the character at `index` of the form came from in the form before it. */
function back(parent: string, step: Step, index: number): number {
  let shift = 0
  for (const match of parent.matchAll(step.pattern)) {
    const decoded = step.decode(match[0]).length
    const at = match.index - shift
    if (at > index) break
    // Runs are made of pieces of one length, so the place within them is known.
    if (index < at + decoded) return match.index + Math.floor(((index - at) * match[0].length) / decoded)
    shift += match[0].length - decoded
  }
  return Math.min(index + shift, parent.length)
}

function origin(form: Form, index: number): number {
  let at = index
  for (let here = form; here.parent && here.step; here = here.parent)
    at = back(here.parent.text, here.step, at)
  return at
}

function finding(form: Form, hit: Hit, original: string): Finding {
  const via: string[] = []
  for (let here: Form | undefined = form; here?.step; here = here.parent) via.unshift(here.step.name)
  const offset = Math.max(0, Math.min(origin(form, hit.start), original.length - 1))
  const last = origin(form, Math.max(hit.start, hit.end - 1))
  // The last character may have been an escape of several: up to where the next one begins.
  const end = via.length ? origin(form, Math.max(hit.start + 1, hit.end)) : last + 1
  return {
    offset,
    length: Math.max(1, Math.min(Math.max(end, last + 1), original.length) - offset),
    reason: hit.reason,
    decodedVia: via.join('>'),
  }
}

/** Undoes entities, once: what an HTML parser does to an attribute's value. */
export function decodeEntities(text: string): string {
  return text.includes('&') ? text.replace(ENTITY.pattern, fromEntity) : text
}

/**
 * Shows `look` the text and every form that decoding makes of it, until it finds something.
 * At most twelve rewritings, each linear; a text with nothing to decode is shown once and copied never.
 */
export function findInForms(text: string, look: (form: string) => Hit | null): Finding | null {
  let form: Form = { text, step: undefined, parent: undefined }
  let hit = look(text)
  if (hit) return finding(form, hit, text)
  let unusual = UNUSUAL.test(text)
  for (const step of STEPS) {
    if (step.sign === '' ? !unusual : !form.text.includes(step.sign)) continue
    if (step === PLUS && BLANK.test(form.text)) continue
    const next = rewrite(form.text, step)
    if (next === form.text) continue
    form = { text: next, step, parent: form }
    unusual ||= UNUSUAL.test(next)
    hit = look(next)
    if (hit) return finding(form, hit, text)
  }
  return null
}
