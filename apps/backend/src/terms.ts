// Words as the index and a question meet in them.

/** Words that are in every question and tell nothing. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  `hello hi hey thanks thank help ok okay own a about all an and any are as at be by can could did do does done for from get give got had has have how i if in into is it
   its just know make me mean means my of on one or our own please say should show so some tell that the their them then there
   these they thing this those to too up us use used using want was we what when where which while who whose why will with work
   works would you your happen happens explain guru comms`.split(/\s+/),
)

/** The words of a text: identifiers in their parts (`streamAudio` as stream, audio; `CIRCUIT_OPEN` as circuit, open). */
export function words(text: string): string[] {
  return text.replace(/(?<=\p{Ll})(?=\p{Lu})/gu, ' ').match(/[\p{L}\p{N}]+/gu) ?? []
}

/** What a word is looked up as, or `null` for one that tells nothing. */
export function termOf(word: string): string | null {
  const lower = word.toLowerCase()
  return lower.length < 2 || STOP_WORDS.has(lower) ? null : stem(lower)
}

/** Names out of code that stand in a question: whoever writes `streamAudio` or `CIRCUIT_OPEN` means just that. */
export function identifiersIn(text: string): string[] {
  return text.match(/[\p{L}\p{N}]+(?:_[\p{L}\p{N}_]+|\p{Ll}\p{Lu}[\p{L}\p{N}]*)/gu) ?? []
}

/** The terms of a question, each once. */
export function termsOf(text: string): Set<string> {
  return new Set(
    words(text)
      .map(termOf)
      .filter((term) => term !== null),
  )
}

/** The commonest endings of English, taken off: `retries` and `retry`, `stopped` and `stop` become one. */
function stem(word: string): string {
  if (word.length < 4) return word
  if (/[^aeiou]ies$/.test(word)) return `${word.slice(0, -3)}y`
  const bare = word.replace(/(?:ing|ed|es|s|e)$/, '')
  // What is left has to be a word itself: `string` is no form of `str`.
  return bare.length < 3 || !/[aeiouy]/.test(bare) ? word : bare.replace(/([bdgkmnprt])\1$/, '$1')
}
