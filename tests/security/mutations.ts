// Ways to write the same attack differently: what filters are evaded with. Each is a pure function of the text and a
// pseudo-random stream, so that a failing case can be run again.

/** A number in [0, 1); the same seed gives the same stream (mulberry32). */
export function stream(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export type Mutate = (text: string, random: () => number) => string

function pick<T>(list: readonly T[], random: () => number): T {
  return list[Math.floor(random() * list.length)] as T
}

function mapChars(text: string, pattern: RegExp, map: (char: string) => string): string {
  return text.replace(pattern, map)
}

const hex = (char: string, digits: number): string => char.charCodeAt(0).toString(16).padStart(digits, '0')

/** Outside of quotes only: blanks within a string are part of it. */
function blanks(text: string, replacement: () => string): string {
  return text.replace(/'[^']*'?|"[^"]*"?| +/g, (piece) => (piece[0] === ' ' ? replacement() : piece))
}

/** Encodings that some layer undoes before the interpreter reads. */
export const encodings: Readonly<Record<string, Mutate>> = {
  'percent escapes': (text) =>
    mapChars(text, /[^\w]/g, (char) => (char < '\x80' ? `%${hex(char, 2)}` : char)),
  'double percent escapes': (text) =>
    mapChars(text, /[^\w]/g, (char) => (char < '\x80' ? `%25${hex(char, 2)}` : char)),
  'some percent escapes': (text, random) =>
    mapChars(text, /[\w'"<>=() ]/g, (char) => (random() < 0.4 ? `%${hex(char, 2)}` : char)),
  '%u escapes': (text) => mapChars(text, /['"<>=(); ]/g, (char) => `%u${hex(char, 4)}`),
  'plus for blanks': (text) =>
    mapChars(text, /[^\w]/g, (char) => (char === ' ' ? '+' : char < '\x80' ? `%${hex(char, 2)}` : char)),
  'script escapes': (text) => mapChars(text, /['"<>=()]/g, (char) => `\\u${hex(char, 4)}`),
  'hexadecimal script escapes': (text) => mapChars(text, /['"<>=()]/g, (char) => `\\x${hex(char, 2)}`),
  'decimal entities': (text) => mapChars(text, /['"<>=()]/g, (char) => `&#${char.charCodeAt(0)};`),
  'padded entities': (text) => mapChars(text, /['"<>()]/g, (char) => `&#x0000${hex(char, 2)};`),
  'full width': (text) =>
    mapChars(text, /[!-~]/g, (char) => String.fromCharCode(char.charCodeAt(0) + 0xfee0)),
  'full-width marks': (text) =>
    mapChars(text, /['"<>=();]/g, (char) => String.fromCharCode(char.charCodeAt(0) + 0xfee0)),
  'zero-width characters': (text, random) =>
    mapChars(text, /[a-z]/gi, (char) => (random() < 0.3 ? `${char}\u200b` : char)),
  NUL: (text, random) => mapChars(text, /[a-z]/gi, (char) => (random() < 0.2 ? `${char}\0` : char)),
  'overlong UTF-8': (text) =>
    mapChars(text, /['"<>()]/g, (char) => {
      const code = char.charCodeAt(0)
      return `%${(0xc0 | (code >> 6)).toString(16)}%${(0x80 | (code & 0x3f)).toString(16)}`
    }),
}

/** Other spellings of the same SQL. */
export const sqlMutations: Readonly<Record<string, Mutate>> = {
  case: (text, random) =>
    mapChars(text, /[a-z]/gi, (char) => (random() < 0.5 ? char.toUpperCase() : char.toLowerCase())),
  'comments for blanks': (text) => blanks(text, () => '/**/'),
  'comments with noise': (text, random) =>
    blanks(text, () => pick(['/*x*/', '/* select */', "/*'*/", '/*-*/ ', ' /**//**/'], random)),
  'lines for blanks': (text, random) =>
    blanks(text, () => pick(['\n', '\t', '\r\n', '\v', '\f', '\u00a0'], random)),
  'comment lines for blanks': (text, random) => blanks(text, () => pick(['--x\n', '#y\n', '-- \n'], random)),
  'many blanks': (text) => blanks(text, () => '   \t  '),
  'versioned comments': (text) =>
    text.replace(/\b(?:union|select|or|and|from|where)\b/gi, (word) => `/*!50000${word}*/`),
  'plain versioned comments': (text) =>
    text.replace(/\b(?:union|select|or|and)\b/gi, (word) => `/*!${word}*/`),
  'signs for words': (text) => text.replace(/ or /gi, '||').replace(/ and /gi, '&&'),
  'parentheses for blanks': (text) => text.replace(/ (or|and) (\d+)=(\d+)/gi, ' $1(($2)=($3))'),
  'like for equals': (text) => text.replace(/=/g, ' like '),
  'between for equals': (text) => text.replace(/(\d+)=(\d+)/g, '$1 between $2 and $2'),
  'in for equals': (text) => text.replace(/(\d+)=(\d+)/g, '$1 in ($2)'),
  'null-safe equals': (text) => text.replace(/(\d+)=(\d+)/g, '$1<=>$2'),
  'hexadecimal numbers': (text) =>
    text.replace(/(?<![\w.:'])\d+(?![\w.:'])/g, (digits) => `0x${Number(digits).toString(16)}`),
  'odd numbers': (text, random) =>
    text.replace(/(?<=[=\s(])\d+(?=[=\s)])/g, (digits) =>
      pick([`${digits}.0`, `+${digits}`, `~-${digits}`, `${digits}e0`, `-(-${digits})`], random),
    ),
  xor: (text) => text.replace(/ or /gi, ' xor '),
  'signs without blanks': (text) => text.replace(/ ?(=|<|>|,) ?/g, '$1').replace(/ ?(=) ?/g, '  $1\n'),
}

/** Other spellings of the same markup. */
export const htmlMutations: Readonly<Record<string, Mutate>> = {
  case: (text, random) =>
    text.replace(/<\/?[a-z]+|\bon[a-z]+|javascript|href|src/gi, (word) =>
      mapChars(word, /[a-z]/gi, (char) => (random() < 0.5 ? char.toUpperCase() : char)),
    ),
  'slashes for blanks': (text) => text.replace(/(<[\w-]+|["']) (?=[\w:]+=)/g, '$1/'),
  'lines for blanks': (text, random) =>
    text.replace(/ (?=[\w:]+=)/g, () => pick(['\n', '\t', '\f', '\r\n', ' / '], random)),
  'blanks around equals': (text) => text.replace(/(\bon\w+|\bsrc|\bhref)=/g, '$1 \n= '),
  'noise attributes': (text) => text.replace(/(<\w+)[ /]/g, '$1 a="1>" b=\'<\' c=d '),
  'entities in values': (text) =>
    text.replace(
      /(=["']?)(javascript:[^"'> ]*|hit[^"'> ]*)/g,
      (_, before: string, value: string) =>
        before + mapChars(value, /[a-z:()]/gi, (char) => `&#${char.charCodeAt(0)};`),
    ),
  'entities without semicolon': (text) =>
    text.replace(/javascript:/g, (scheme) =>
      mapChars(scheme, /[a-z:]/gi, (char) => `&#x000${hex(char, 2)};`),
    ),
  'tabs in the scheme': (text) => text.replace(/(["'])javascript:/g, '$1java\tscr\nipt:'),
  'named entities in the scheme': (text) => text.replace(/javascript:/g, 'java&Tab;script&colon;'),
  'no end': (text) => text.replace(/>[^<>]*$/, ' '),
  'text around': (text) => (text[0] === '<' ? `hello ${text} bye` : text),
  'out of an attribute': (text) => (text[0] === '<' ? `x">${text}` : text),
  'out of a comment': (text) => (text[0] === '<' ? `x-->${text}` : text),
}
