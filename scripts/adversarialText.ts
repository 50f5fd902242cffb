// Harmless texts that look like SQL injections: talk about databases, names with apostrophes, sums, tables, logs, code,
// prices, in several languages. What the detector's weights must not take for an attack. Made at random; see adversarialSql.ts.

import type { Random } from './adversarialSql.ts'

function pick<T>(list: readonly T[], random: Random): T {
  return list[Math.floor(random() * list.length)] as T
}

/** What stands for a name in braces below. */
const SLOTS: Readonly<Record<string, readonly string[]>> = {
  name: [
    "O'Neill",
    "D'Angelo",
    'Ann',
    "O'Brien",
    'Müller',
    "L'Oréal",
    'Bob',
    "N'Djamena",
    "Ka'ahumanu",
    'José',
    "Qur'an",
    'Smith',
  ],
  thing: [
    'table',
    'index',
    'order',
    'group',
    'user',
    'column',
    'union',
    'view',
    'key',
    'set',
    'case',
    'join',
    'limit',
    'value',
    'row',
    'database',
    'trigger',
    'procedure',
  ],
  verb: [
    'select',
    'drop',
    'update',
    'insert',
    'delete',
    'create',
    'alter',
    'grant',
    'execute',
    'declare',
    'call',
    'set',
    'use',
    'join',
    'truncate',
    'merge',
    'replace',
  ],
  number: ['1', '2', '3', '5', '10', '12', '42', '100', '1999', '0.5', '3.14', '-1', '7'],
  word: [
    'apples',
    'meeting',
    'report',
    'invoice',
    'house',
    'blue',
    'time',
    'coffee',
    'server',
    'friends',
    'status',
    'city',
    'team',
    'price',
  ],
  quoted: ["'yes'", '"no"', "'blue'", '"select"', "'or'", '"and"', "'n'", '`id`', "'%'", "'users'", '"1=1"'],
  logic: ['or', 'and', 'OR', 'AND', 'and/or', '&', '||', '&&', 'but not', 'xor'],
  compare: ['=', '==', '<', '>', '<=', '!=', '<>', 'is', 'like', 'between', 'in'],
  dash: ['--', '-', '—', ' -- ', '...', '#', ';', '//', '/*'],
  truth: ['true', 'false', 'null', 'undefined', 'yes', 'no', 'TRUE', 'FALSE', 'None', '0', '1'],
  relation: ['=', '==', '<', '>', '<=', '>=', '!=', '<>', '≠', '≤'],
  column: ['name', 'age', 'total', 'status', 'id', 'salary', 'created_at'],
}

const SENTENCES: readonly string[] = [
  "Please {verb} the {thing} {logic} {verb} it later; I'll be back at {number}.",
  "It's {number} {logic} {number} o'clock {dash} whichever suits {name}.",
  'How do I {verb} a {thing} where {column} is {number} {logic} {column} is null?',
  'What is the difference between {verb} and {verb} {dash} and when would I use a {thing}?',
  "{name}'s {thing} {logic} {name}'s {word} {dash} both are fine",
  "Don't {verb} from the {thing}; {name} said it's a {word}",
  'Where {column} {compare} {number} {logic} {column} {compare} {number}, the {word} is free',
  'If a {compare} {number} {logic} b {compare} {number} then c = {number}',
  'Solve {number}x + {number} = {number} {logic} y {compare} {number}',
  'I have {number} {word} {logic} {number} {word}; how many {word} in all?',
  'The {quoted} {thing} {logic} the {quoted} one?',
  "She said {quoted} {logic} {quoted}; I'd say {quoted} {dash} nothing else.",
  '{number} {logic} {number} {word}',
  '{number}. {verb} the {word}',
  'Item #{number}: {word} {dash} {name} ({number} pcs)',
  '| {column} | {thing} | {number} |\n|---|---|---|\n| {word} | {quoted} | {number} |',
  '{column},{thing},{word}\n{number},{quoted},{name}\n{number},{quoted},{name}',
  '2024-0{number}-1{number} 10:{number}:00 INFO user={name} action={verb} status={number} -- ok',
  'ERROR: {column} must be {compare} {number}; got {quoted}',
  '{"{column}": {number}, "{thing}": {quoted}, "note": "it\'s {word}"}',
  "const {word} = {column} === 'x' || {column} === 'y' ? {number} : {number}; // {verb} it's fine",
  'if ({column} == {quoted} {logic} {thing} != {quoted}) { return {number} }',
  "print('{word}', {column}) # {verb} {thing}",
  "['{word}', '{column}', '{thing}']",
  "('{word}', {number}, '{name}')",
  "{column} = '{word}' if {column} > {number} else '{thing}'",
  'SELECT {column} FROM {word} is a query; what does it {verb}?',
  'Why does my {verb} on the {thing} take {number} seconds? I already {verb} an {thing}.',
  '{number}" x {number}" {word} {logic} {number}\' long',
  '{number}\'{number}" tall, {number} lbs',
  'Price: {number} $ {logic} {number} € {dash} tax included; {number}% off',
  'Sizes {number}/{number}/{number} {logic} {number}-{number}',
  'Call ({number}{number}{number}) 555-{number}{number} {logic} mail {word}@example.com',
  'https://shop.example/{word}?{column}={number}&order={word}&limit={number}#{thing}',
  "Rock 'n' roll, fish 'n' chips {logic} '90s {word}",
  "y' = {number}y; f'(x) = {number}x {dash} f''(x) {compare} {number}",
  'TRUE {logic} FALSE: {number} {compare} {number}?',
  'Exercise {number}: show that a {logic} b = b {logic} a (hint: 1=1)',
  '@{name} please {verb} this by {number}; thanks!',
  'git {verb} -m "{word} {dash} {thing}" && npm run {word}',
  'Having {number} {word} in a {thing} is like having {number} {word}',
  'Order by {word}, group by {thing} {dash} as you like',
  'union of {number} {word} and {number} {word} (distinct)',
  'The union {verb}ed all members from {number} cities, null votes included',
  'In MySQL, {verb} {thing} needs a privilege; {quoted} does not.',
  "C'est l'{word} d'un ami {dash} ou pas? J'ai {number} ou {number} euros",
  "L'ordine n'è arrivato; dov'è? {number} o {number} giorni",
  "¿Dónde está el pedido? Es '{word}' o '{thing}'; quiero {number}",
  "Foto's van oma's {word}; zo'n {number} of {number}",
  "Wählen Sie '{word}' oder '{thing}' und {number} bis {number} aus",
  'выберите {number} или {number}; это «{word}» -- да',
  "选择 '{word}' 或 '{thing}'，大于 {number}",
  "Selecione {number} ou {number} itens d'água; atualizar {word}",
  "{name} & {name}'s {word} #{number}",
  "it's {word}, isn't it? {name} can't {verb} -- won't {verb}",
  '"{word}" {logic} "{thing}"',
  '{quoted}',
  "{number}'",
  '{number}',
  '{word}',
  '{name}',
  'a {compare} b',
  'version {number}.{number}.{number}-beta; released',
  '{word}_{number}; {column}={number}; path=/; secure',
  '{word}+{word}+{number}',
  '%E2%80%9C{word}%E2%80%9D+{logic}+{number}',
  'Q: {word}? A: {number} {logic} {number}; not {number}',
  "The variable 's' holds {quoted}; 't' holds {quoted} -- print both",
  "- [ ] {verb} {thing} (#{number})\n- [x] don't {verb} {word}",
  "# {verb} the {thing}\n\nIt's {word}; see `{column}` {logic} `{thing}`.",
  "Dear {name},\n\nI've {verb}ed {number} of {number} -- it's all in the {thing}.\n\nThanks; {name}",
  "sorted by '{column}', filtered where '{thing}' > {number}",
  "WARN '{word}' is not a '{thing}'; expected '{column}' or '{word}'",
  'for (let i = {number}; i < {number}; i++) {word}[i] = {quoted}',
  "WHERE'S MY {word}? {verb} IT; OR {verb} {number}",
  '{number} is between {number} and {number}; {number} is not',
  'is {number} null {logic} {number}?',
  'limit {number} per customer; {number} max',
  '{number} in {number} people like {quoted}',
]

/** Titles of wares, as shops and their searches have them. */
const WARES: readonly string[] = [
  '{number} {word} {logic} {number} {thing}',
  '{number} {thing} {word}',
  '{word} {thing} {number} {number}/{number}" - {word} - {word}',
  '{word} {logic} {thing} for {word}',
  'the {word} {thing} (set of {number})',
  '"{word} {thing}" {logic} "{word}"',
  '"{word}" -{word} -{thing} --{word}',
  '({word}) {thing} -{word}',
  '{number}" {logic} {number}" {word}',
  '{number}%25 {word} {logic} {number}%25 {thing}.',
  '/search?q={word} {number}"&page={number}&order={word}',
  '/search/{word}?q={word}+{number}%22&order={word}',
  '%22{word}+{thing}+{word}',
  '{word}%20{logic}%20{word}',
  "women's {word}, men's {thing}; {name}",
  '{word}; {thing} {number}+{number}',
  '{number} in {number} {thing} with {word}',
  'all {word} {thing}',
  'by {word} of the {thing}',
  "{word}'{word}s {thing}",
  '"{word} for {thing} and {word}',
]

/** Sums and comparisons, as pupils and programmers write them. */
const SUMS: readonly string[] = [
  '{truth} {logic} {truth}',
  '{truth} {logic} {truth}?',
  '{truth}, {truth} {logic} {word}',
  "{number}' {dash} {number}'",
  '{number}" {dash} {number}"',
  "{number}' x {number}' {logic} {number}'",
  'Evaluate: ({number} {relation} {number}) {logic} ({number} {relation} {number})',
  'True or false: {number}+{number}={number} {logic} {number}*{number}={number}',
  'Is {number} {relation} {number} {logic} {number} {relation} {number}?',
  'if x {relation} {number} {logic} y {relation} {number} then z',
  '{number}x + {number}y = {number}, {number}x - y {relation} {number}',
  'f({number}) = {number}, g({number}) {relation} {number}',
  '({number} + {number}) * {number} = {number}',
  '{number}/{number} + {number}/{number} = ?',
  'p {relation} {number}; q {relation} {number}; r = p * q',
  'x = {number}, y = {number} => x {relation} y',
  '{number} mod {number} = {number}',
  '({number}, {number}), ({number}, {number})',
  "y' {relation} {number}y {logic} y'' = {number}",
]

const MARKS = [
  '"',
  "'",
  ',',
  '(',
  ')',
  '-',
  '/',
  '+',
  '&',
  '.',
  ':',
  '%',
  '=',
  ' ',
  ' ',
  '_',
  '[',
  ']',
  '|',
  '~',
  '*',
  '@',
]

/** Marks, numbers and words without an order: what keys, file names and slips of the finger look like. */
function marks(random: Random): string {
  let text = ''
  for (let count = 2 + Math.floor(random() * 12); count > 0; count--) {
    text += random() < 0.5 ? pick(MARKS, random) : pick(random() < 0.5 ? WORDS : NUMBERS, random)
  }
  // A quote, then a comment or operators between quotes: that may be an attack indeed.
  return /["'][)\s]*(?:--|#|\/\*|;)|["']\W{0,4}["']|\|\|/.test(text) ? marks(random) : text
}

const KEY_SIGNS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Identifiers and tokens that no rule made readable. */
function key(random: Random): string {
  const length = 8 + Math.floor(random() * 30)
  const sign = (): string => KEY_SIGNS[Math.floor(random() * KEY_SIGNS.length)] as string
  return Array.from({ length }, sign).join('') + pick(['', '', '--', '=', '==', '/', '-', '&'], random)
}

const WORDS = SLOTS.word as readonly string[]
const NUMBERS = SLOTS.number as readonly string[]

/** One harmless text. */
export function harmlessText(random: Random): string {
  const fill = (text: string): string =>
    text.replace(/\{(\w+)\}/g, (whole, slot: string) => {
      const list = SLOTS[slot]
      return list ? pick(list, random) : whole
    })
  const kind = random()
  if (kind < 0.08) return marks(random)
  if (kind < 0.12) return key(random)
  const shop = kind < 0.27
  let text = fill(pick(shop ? WARES : kind < 0.37 ? SUMS : SENTENCES, random))
  while (random() < 0.25) text += pick([' ', '\n', ' ', ' -- ', '; '], random) + fill(pick(SENTENCES, random))
  const style = random()
  if (shop && style < 0.5) return text.toUpperCase()
  return style < 0.08 ? text.toUpperCase() : style < 0.16 ? text.toLowerCase() : text
}
