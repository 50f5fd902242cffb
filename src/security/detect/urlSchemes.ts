// URL schemes that run script when followed, as URL parsers read them: control characters and blanks before the
// scheme and tabs and newlines within it are dropped (WHATWG URL, "basic URL parser").

/** The letters of a word with anything between them that some parser drops. */
function loose(word: string): string {
  return word.split('').join('[\\0-\\x20]*')
}

/** What parsers and sanitizers disagree on before a scheme: controls, blanks of every kind, quotes of other kinds. */
const LEAD = '[`"\'\\0-\\x20\\x7f-\\xa0\\u1680\\u180e\\u2000-\\u2029\\u205f\\u3000\\ufeff]*'
const WRAPPERS = `(?:(?:${['feed', 'view-source', 'jar', 'firefoxurl'].map(loose).join('|')})[\\0-\\x20]*:[\\0-\\x20]*){0,9}`
const SCRIPT = ['javascript', 'vbscript', 'livescript', 'mocha', 'jscript'].map(loose).join('|')
const ACTIVE_DATA = `${loose('data')}[\\0-\\x20]*:[\\0-\\x20]*(?:text/(?:html|xml|javascript|ecmascript|x-scriptlet)|application/(?:xhtml|xml|javascript|x-javascript)|image/svg)`

const SCRIPT_URL = new RegExp(`^${LEAD}${WRAPPERS}(?:${SCRIPT})[\\0-\\x20]*:`, 'i')
const ACTIVE_URL = new RegExp(`^${LEAD}${WRAPPERS}${ACTIVE_DATA}`, 'i')

/** Where the script begins behind `javascript:` and its kin; 0 for any other URL. */
export function scriptUrlEnd(value: string): number {
  return SCRIPT_URL.exec(value)?.[0].length ?? 0
}

/** `javascript:` and its kin. */
export function isScriptUrl(value: string): boolean {
  return SCRIPT_URL.test(value)
}

/** `data:` with a type that is a document or a script. */
export function isActiveDataUrl(value: string): boolean {
  return ACTIVE_URL.test(value)
}

const SIGN = new RegExp(['script', 'mocha', 'data'].map(loose).join('|'), 'i')

/** Whether any of the schemes could be in this text: cheap, to be asked before looking closer. */
export function mayHoldScheme(text: string): boolean {
  return text.includes(':') && SIGN.test(text)
}

/** A `data:` URL of style rules, or of no stated type: harmless to show, active in a style sheet link. */
export function isStyleDataUrl(value: string): boolean {
  return /^\s*data:(?:text\/css|[,;])/i.test(value)
}
