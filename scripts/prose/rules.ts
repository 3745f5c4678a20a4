/**
 * The phrases that make our prose hard to read, and what to write instead.
 *
 * Each entry is a habit that was counted in this repository, not a matter of taste: a sentence with such a phrase had to
 * be read twice. A hit is a sign that the sentence needs rewriting; replacing the one word is rarely enough. Where the
 * phrase is right (a quotation, the field's own term), write `prose-ok(<rule>): <reason>` in a comment on the same line
 * or the line before. See docs/decisions/2026-11-25-prose-check.md.
 */

export interface PhraseRule {
  /** The rule's name in messages and in `prose-ok(…)`. */
  name: string;
  /** The phrase to find. It must be global and case-insensitive, and must match within one sentence. */
  pattern: RegExp;
  /** The wording to use instead. */
  advice: string;
}

const rule = (name: string, pattern: RegExp, advice: string): PhraseRule => ({
  name,
  pattern: new RegExp(pattern.source, 'gi'),
  advice,
});

const PARTICIPLE =
  '(?:\\w+ed|made|sent|kept|told|held|put|read|written|given|taken|left|found|built|shown|known|done|begun|lost|said|brought|set|cut|gone|chosen|drawn|run|seen|met|got|paid|laid|won|cast|split|spent|meant|fed|led|bound|worn|torn|thrown|grown|driven|spoken|broken|stolen|hidden|forgotten)';
const BE = "(?:is|are|was|were|be|been|being|isn't|aren't|wasn't|weren't)";

/** Matches a passive verb, with an optional adverb between its parts. */
export const PASSIVE = new RegExp(
  `\\b${BE}(?: not| never| also| then| only| still| always| already)? ${PARTICIPLE}\\b`,
  'gi',
);

export const PHRASES: PhraseRule[] = [
  rule('whole', /\bwhole\b(?! numbers?\b| transactions?\b)/, 'drop it, or say "full", "entire" or "complete" of what'),
  rule('anew', /\banew\b/, 'say "again", or name the act: re-read, restart, reset, rebuild'),
  rule(
    'stands',
    /\b(?:stands|stood|standing|(?:to|can|cannot|not|that|which|they|rows|tables|lines|may|must|it) stand)\b(?! for\b| in for\b)/,
    'say "is", "holds", or where it is written',
  ),
  rule('goes on', /\b(?:goes|go|going|went|gone) on\b/, 'say "continues" or "resumes", and what does'),
  rule('by itself', /\bby (?:itself|themselves)\b/, 'say "automatically", or name who does it'),
  rule('is told', /\b(?:is|are|was|were|be|been|being|gets?) told\b/, 'say who sends what to whom'),
  rule(
    'tells',
    /\b(?:tells|telling|told|(?:to|not|cannot|can|could|does|which|that|they|will|would|may|must) tell)\b/,
    'say "reports", "returns", "shows" or "distinguishes"',
  ),
  rule('says so', /\b(?:says?|said|saying) so\b/, 'say what it reports'),
  rule('besides', /\bbesides\b/, 'say "also", or "in addition to"'),
  rule('spoilt', /\bspoil(?:t|ed|s)?\b/, 'say "damaged", "altered" or "invalid"'),
  rule('lacks', /\black(?:s|ed|ing)?\b/, 'say "is missing", "has no", or "is behind"'),
  rule(
    'headless',
    /\bwhat (?:differs|lies|remains|comes|came|goes|went|stands|belongs|fits|lacks|holds|changed|matters|concerns|follows|happens|(?:is|was|are|were) (?:not|left|missing|there|kept|behind|new|gone|sent|older|written|read|asked|fetched|held|stored|known|in|of|on|at|to be)|(?:it|they|he|we|that|this) (?:has|have|had|holds?|held|kept|keeps?|lacks?|is|are|was|were|sent|sends?|got|gets?|took|takes?|says|said|read|reads|wrote|writes|asks?|asked|found|finds?))\b/,
    'name the noun: "rows that differ", "columns the master did not send"',
  ),
  rule('of what', /\b(?:of|with|from|by|for|than|in|on|to) what\b(?! extent\b)/, 'name the noun'),
  rule('whoever', /\b(?:whoever|whomever|whosoever)\b/, 'name the actor: the caller, the reader, the terminal'),
  rule(
    'nothing of',
    /\b(?:nothing|something|anything|what is left|what was left|what|little) of (?:it|them|(?:that|this)(?= *[.,;:)]))\b/,
    'name the part: "it is discarded", "no row of the page"',
  ),
  rule(
    'it is done',
    /\bit is (?:tried|looked|asked|said|told|made|fetched|repaired|opened|started|known|checked|waited|counted|written|read|compared|decided|noticed)\b/,
    'say who does it',
  ),
  rule(
    'nor can',
    /(?:^|[.;:,] )(?:nor|neither) (?:can|could|does|do|did|is|are|was|were|has|have|may|must|will)\b/,
    'start with the subject',
  ),
  rule(
    'for it',
    /[,;] for (?:it|they|he|she|there|this|that|these|those|nobody|nothing)\b/,
    'say "because", or start a new sentence',
  ),
  rule(
    'as it is',
    /\bas (?:it|they) (?:is|are|was|were|stands?|stood)\b(?! (?:\w+ing|\w+ed)\b)/,
    'say "unchanged", "verbatim" or "as sent"',
  ),
  rule('any more', /\bany ?more\b/, 'say "no longer"'),
  rule(
    'also when',
    /\balso (?:when|where|while|if|with|without|in|after|before|for|on|at)\b/,
    'say "even when", or put "also" before the verb',
  ),
  rule('parted', /\bparted by\b/, 'say "separated by"'),
  rule('put right', /\b(?:puts?|putting) (?:it|them|this|that|things|\w+)? ?right\b/, 'say "repairs" or "corrects"'),
  rule('takes the place', /\b(?:takes?|took|taken|taking) (?:the|its|their) place\b/, 'say "replaces"'),
  rule('dear', /\b(?:dear|dearer|dearest)\b/, 'say "expensive" or "costs more"'),
  rule('for ever', /\bfor ever\b/, 'say "forever" or "indefinitely"'),
  rule(
    'archaic',
    /\b(?:lest|hence|thereof|therein|thereby|whereof|wherein|whereby|henceforth|hitherto|whence|thence|hereby|lately|of late|mend(?:s|ed|ing)?|aught|naught|alike|to and fro|beforehand)\b/,
    'use the plain word: recently, therefore, because, repair, equally, first',
  ),
  rule('of nobody', /\bof (?:nobody|somebody|someone else|nothing)\b/, 'say who: "no terminal has it"'),
  rule(
    'from there',
    /\b(?:from there on|from then on|from where|to where)\b/,
    'name the position: "from that seq on", "the seq to resume from"',
  ),
  rule(
    'what the',
    /(?<!\b(?:decides?|knows?|sees?|exactly|explains?|states?|describes?|determines?|defines?) )\bwhat (?:the|an?|each|every|its|their|other|another|one)\b(?![^.!?]*\?)/,
    'name the noun: "rows that the relay held", "values of the master"',
  ),
  rule(
    'what first',
    /(?:^|[.;:] )what\b(?! (?:to|if)\b)(?![^.!?]*\?)/,
    'start with the noun: "Rows that …", "Bytes that …"',
  ),
  rule(
    'of first',
    /(?:^|[.;:] )of (?!course)\b/,
    'start with the subject: not "Of a row, its key" but "The key of a row"',
  ),
  rule('is said', /\b(?:is|are|was|were|be) said\b/, 'say who states it'),
  rule(
    'is to be',
    /\b(?:is|are|was|were) to (?:be|do|come|go|give|hold|take|read|wait|have|get|stay)\b/,
    'say "must", "should" or "will"',
  ),
  rule(
    'comes',
    /\b(?:rows?|lines?|batch|batches|pages?|transactions?|tables?|changes?|copy|answers?|requests?) (?:that )?(?:comes?|came)\b/,
    'say "arrives"',
  ),
  rule('of before', /\bof (?:before|after|then|now)\b/, 'say "previous", "earlier", "later" or "current"'),
  rule('all that', /\ball that\b/, 'say "everything that", or name the things'),
  rule('no more', /\bno more\b(?! than\b| \w+s\b)/, 'say "no longer"'),
  rule('is made', /\b(?:is|are|was|were|be|been|being) made\b/, 'say "created", "built" or "sent", and who does it'),
  rule(
    'not there',
    /\b(?:not|is|are|was|were) there\b(?! (?:is|are|was|were|a|an|any|no|to)\b)/,
    'say "missing", "present" or "exists"',
  ),
  rule('squash', /(?<![-/_.\w])squash(?:es|ed|ing)?\b(?![_-])/, 'say "compaction", "compacted" or "compact"'),
  rule('read again', /\bread(?:s|ing)? (?:\w+ )?again\b/, 'say "re-read"'),
  rule('kept aside', /\b(?:kept|keeps?|keeping|put|puts) aside\b/, 'say "spooled" or "spools"'),
  rule('asks for', /\bthat (?:ask|asks|asked) for it\b/, 'name the requester'),
  rule('in hand', /\b(?:at|in) hand\b/, 'say "available", "pending" or "in memory"'),
  rule('gives out', /\b(?:handed|hands?|given|gives?|giving) out\b/, 'say "issued", "served" or "offered"'),
  rule('comes to nothing', /\b(?:comes|came|come) (?:to|of) (?:nothing|it|them)\b/, 'say the result'),
  rule(
    'it says',
    /\b(?:says|said) (?:how|what|where|which|whether|why|who|when)\b/,
    'say "states", "reports", "names" or "describes"',
  ),
  rule('words for', /\b(?:scope set|base read)\b/, 'use the glossary: scopes or entitlement; base copy'),
];

/** The largest number of words in a sentence. */
export const MAX_WORDS = 40;
/** The largest number of passive verbs in a sentence. */
export const MAX_PASSIVE = 2;
/** The largest number of semicolons in a sentence. */
export const MAX_SEMICOLONS = 1;
