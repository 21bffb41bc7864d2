"""Patterns of orders to a model, by family and by language: data for `rag.suspect`. Pure."""

from __future__ import annotations

__all__ = ["FAMILIES", "LANGUAGES", "OPENS", "SAY"]

# What a program is called when it is spoken to or about.
_AI = (
    r"(?:(?:an?|the|any|all|every|our|your|this|dear) )?(?:helpful )?"
    r"(?:(?:AI|A\.I\.|artificial intelligence|large language|language|virtual|digital|"
    r"automated)[ -])*"
    r"(?:AIs?|A\.I\.|LLMs?|(?<=language )models?|(?<=AI )(?:models?|assistants?|agents?|systems?|"
    r"bots?|tools?|readers?)|(?<=virtual )(?:assistants?|agents?)|chat ?bots?|chatgpt|gpt-?\d?|"
    r"(?:assistant|model|bot|agent|system|summari[sz]er)s?(?= (?:reading|processing|answering|that "
    r"(?:reads?|answers?|process)))|(?:question[ -])?answering (?:systems?|engines?)|"
    r"rag (?:systems?|pipelines?)|retrieval[ -](?:augmented )?(?:systems?|engines?))"
)
# An order opens a sentence or a clause, perhaps after a courtesy. A quotation mark before it makes
# it a report of an order: texts about such attacks are to stay readable.
OPENS = (
    r"(?:^|[.,:;!?…>\])|]\s+|\n|[—–]\s*|"
    r"\s-\s)[^\w\"'`«<\[{]*(?:(?:please|now|kindly|then|and|so|first|"
    r"next|instead|important|attention|note|warning|notice|reminder|hey|hello|dear|okay|ok|always|"
    r"immediately|just|only|simply|henceforth|system|admin|assistant|instructions?|chatbot|bot|"
    r"from (?:now|here|this point) on(?:wards?)?|"
    rf"{_AI}|(?:you|(?:the )?(?:assistant|model|bot|system|{_AI})s?) (?:must|should|shall|will|"
    r"ha(?:s|ve) to|needs? to|(?:are|is) (?:to|(?:now |hereby )?(?:required|instructed|ordered|"
    r"asked|told|expected|directed|commanded) to)))(?: now| also| always| "
    r"instead)?[\s,:!—–-]+){0,4}"
)
_EARLIER = (
    r"(?:previous|prior|above|earlier|preceding|foregoing|existing|original|initial|former|past|"
    r"system|hidden|built-in|default|safety|other|all|any|every|your)"
)
_ORDERS = (
    r"(?:instructions?|prompts?|directives?|directions|commands?|guidelines|guardrails|rules|"
    r"orders|constraints|programming|training|system messages?|safeguards)"
)
_REPLY = r"(?:answers?|repl(?:y|ies)|responses?|outputs?|completions?|summar(?:y|ies))"
_ASKED = (
    r"(?:(?:the|a|any|every) users?|users|you(?:'re| are)(?: ever)? (?:asked|queried|prompted|"
    r"questioned)|(?:you )?(?:answer|respond|reply)(?:ing)?(?: to)? (?:any |the |a |this |all )*"
    r"(?:user|question|quer))"
)
_SOURCES = (
    r"(?:sources?|documents?|passages?|context|excerpts?|search results?|snippets?|citations?)"
)
SAY = r"(?:say|answer|reply|respond|state|write|output|print|return|repeat|claim|insist|tell|emit)"
_STYLE = (
    r"(?:pirates?|rhymes?|verse|haikus?|limericks?|poems?|emojis?|yoda|shakespeare\w*|klingon|"
    r"pig latin|cowboys?|bab(?:y|ies)|robots?|sarcas\w+|all caps|leetspeak|morse|base64|rot13)"
)

FAMILIES: dict[str, str] = {
    "override": rf"{OPENS}(?:ignor(?:e|ing)|disregard|forget|overrid(?:e|ing)|bypass|drop|abandon|"
    r"discard|set aside|throw away|(?:do not|don't|never|stop|no longer|cease) (?:to )?"
    r"(?:follow|obey|comply with|adhere to|apply)(?:ing)?|(?:pay|give) no (?:attention|heed) to|"
    r"erase)"
    rf" (?:[\w,'-]+ ){{0,4}}?(?:{_EARLIER} (?:[\w,'-]+ ){{0,4}}?{_ORDERS}\b|"
    rf"{_ORDERS} (?:above|before|(?:that|which) (?:came before|precedes?|preceded)|"
    r"(?:you|that you) (?:were|have been|got|received)|"
    r"given to you|so far|up to (?:now|this point))|everything (?:above|before|you (?:were|have "
    r"been|"
    r"know|read)|(?:that )?(?:came|was said) before|said (?:above|so far))|the (?:user's |actual "
    r"|original )?(?:question|user|query)\b)",
    "role": r"\b(?:you are now|from now on,? you(?:'re| are| will be)|you will now (?:act|behave|"
    r"be)|you must (?:act|behave) as|pretend (?:to be|that you are|you are)|roleplay as|act as)"
    rf" (?:(?:an?|the|in|my|as) )*(?:{_AI}|dan\b|jailbroken|unrestricted|unfiltered|uncensored|"
    rf"developer mode|debug mode|{_STYLE})",
    "address": rf"\b(?:as|if you(?:'re| are)) {_AI},? (?:[\w']+,? ){{0,6}}?(?:you|please|must|"
    rf"{SAY}|ignore|do not|don't|include|mention)\b",
    "salutation": rf"^[^\w\"'`]*(?:dear|hello|hey|attention|notice|(?:an? |this )?(?:important )?"
    r"(?:note|message|notice|instructions?|order|reminder)(?: is| was)?(?: meant| intended)?"
    rf"(?: to| for)|to) {_AI}(?: (?:reading|processing|"
    r"summari[sz]ing|parsing|indexing|crawling|answering|that|which|who)(?: \w+){1,4})?\s*[:,!—–-]\s*\S",
    "reader": rf"{_AI} (?:(?:that|which|who) )?(?:(?:is|are) )?(?:read(?:s|ing)?|process(?:es|"
    rf"ing)?|"
    r"summari[sz](?:es?|ing)|answer(?:s|ing)?|us(?:es?|ing)|quot(?:es?|ing)|pars(?:es?|ing)) "
    r"(?:from )?(?:this|these) (?:\w+ )?(?:\w+),? (?:must|should|shall|will|(?:is|are|has|have|"
    r"needs?) (?:\w+ )?to)\b",
    "tokens": r"(?<![\"'`\w])(?:<\|[\w /-]{2,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|</?(?:system|"
    r"assistant|"
    r"human|sources?|context|documents?|passages?|instructions?|prompt|user_query|tool_calls?|"
    r"function_calls?|tool_response|invoke)(?: [^<>]{0,80})?>|"
    r"(?:^|\n)\W{0,3}#{2,4} ?(?:instruction|system|response|human|assistant|user|new instructions?)"
    r"(?: prompt| message)? ?:|(?:^|\n)[^\w\"'`]*(?:begin|end|start)[ _](?:of )?(?:the )?"
    r"(?:context|sources?|documents?|passages?|retrieved (?:text|documents?)|system prompt|"
    r"user (?:input|query))\b(?=\W*(?:$|\n|[.:-])))",
    "turn": r"^[^\w\"'`]*(?:(?:new |updated |hidden |secret )?system (?:prompt|override|"
    r"instructions?|"
    r"directive|command)|admin(?:istrator)? (?:override|command|directive)|developer (?:override|"
    r"mode (?:enabled|activated|on)|message)|(?:new|updated|hidden|secret) (?:instructions?|prompt|"
    r"directive)(?: (?:for|to) you)?|prompt (?:override|update))(?: [\w-]{1,12})?\s*(?:[:>\]=—–-]|$)",
    "role_line": r"^[^\w\"'`]*(?:system|admin(?:istrator)?|developer|operator|root)(?: "
    r"(?:message|note|"
    r"notice|update|alert))?\s*[:>\]]\W*(?:you |your |please |from now on|do not |don't |always |"
    r"never "
    rf"|(?:if|when|whenever) (?:(?:the|a|any) user|you|asked)|ignore|disregard|forget|override|"
    rf"{SAY}\b|the (?:assistant|model|ai|user|answer)|all (?:answers|"
    r"replies|responses)|for this)",
    "call": r"\"(?:tool|tool_name|tool_calls?|function|function_call|action|name|"
    r"recipient_name)\"\s*:"
    r".{0,200}\"(?:arguments|parameters|args|tool_input|action_input|params)\"\s*:|"
    r"\"role\"\s*:\s*\"(?:system|developer)\"",
    "reply": rf"{OPENS}(?:begin|start|end|finish|conclude|open|close|preface|prefix|sign|append|"
    rf"include"
    rf"|insert|embed|add|put|place|mention|render|display|attach|use|cite|quote|praise|recommend|"
    rf"promote|hide|encode|follow|copy|imitate|carry)\b.{{0,160}}?\b(?:(?:your|every|each|all|any)"
    rf"(?: (?:your|of your|future|subsequent|final|single))? (?:{_REPLY}|(?:rewritten|search|"
    rf"standalone) (?:question|query|queries))\b(?! (?:sheet|book|"
    r"box|form|paper|card|slip|(?:on|in) (?:an?|the) (?:new|separate|box|line|space|answer|"
    r"margin|back|"
    r"sheet|page|form|booklet|envelope)))|the (?:final )?(?:response|reply|output)\b(?= ?(?:$|"
    r"[.,:!]))|"
    rf"(?:when|whenever|while|if) {_ASKED})",
    "your_reply": rf"\b(?:your|all your|every one of your) (?:\w+ )?{_REPLY} (?:must|should|"
    rf"shall|has to|"
    r"have to|needs? to|(?:is|are) to|will) (?:always |only |not |never |also )*(?:be|begin|"
    r"start|end|include|contain|consist|mention|say|state|use|read|open|praise|recommend|carry)\b"
    r"(?! (?:graded|marked|scored|written|submitted|published|kept|treated|confidential|anonymous))",
    "in_reply": rf"{OPENS}(?:in|with|at the end of|for) (?:all|every|each|any)(?: one)?(?: of)? your "
    rf"{_REPLY},? (?:you (?:must|should) |please |always )?(?:praise|mention|include|recommend|say|"
    r"promote|add|write|use|cite|insert|thank|warn)\b|"
    rf"\b(?:every|each) time (?:that )?you (?:answer|reply|respond)\b[^.!?]{{0,60}}?, ?(?:you (?:must|"
    r"should) |please )?(?:add|say|include|mention|write|append|praise|recommend|insert|end|begin)\b|"
    rf"\byour (?:only|sole|entire|whole|single) {_REPLY} (?:is|will be|must|shall)\b",
    "only": rf"{OPENS}{SAY} (?:(?:only|always|exclusively|solely|nothing but|exactly)"
    r"(?: (?:with|that|in|by|as|the|this|these|saying))*\b|(?:\w+ ){0,3}?(?:with|by saying|using) "
    r"(?:only |just |nothing but |exactly )?(?:the (?:single |one |exact )?(?:words?|phrase|"
    r"string|text"
    r"|sentence|token)|\"|'|\(?(?-i:[A-Z]{4,})\b)|(?:the (?:single |exact )?(?:words?|phrase|"
    r"string) )?(?:\"[^\"]+\"|'[^']+'|[\w-]+) (?:and nothing (?:else|more)|and stop\b|instead of "
    r"(?:answering|the "
    r"answer)|to (?:every|any|all|each|whatever) (?:question|quer|prompt|request|message)s?|"
    r"(?:\w+ ){0,2}(?:times|twice)$))",
    "asked": rf"\b(?:when|whenever|if|once|every time|each time|should|no matter (?:what|how|"
    rf"which)|regardless of (?:what|which|how)|whatever) (?:{_ASKED}|(?:you(?:'re| are)) asked)\b"
    r"(?: (?:asks?|asked|wants?|inquires?|mentions?|quer(?:y|ies)|requests?|says?|needs?|ever "
    r"asks)\b)?"
    r"[^.!?]{0,120}?(?:[,:;—-]|\bthen)\s*(?:please |always |just |only |simply |you (?:must|"
    r"should|shall|"
    r"will|are to) )*(?:say|answer|reply|respond|claim|insist|tell (?:them|him|her)|refuse|decline|"
    r"recommend|pretend|your answer|the (?:correct |right |only )?answer (?:is|must|should))\b",
    "asked_plain": rf"\b(?:when|whenever|if|once|should) (?:{_ASKED}|anyone|someone|somebody|"
    rf"people)\b"
    rf"[^.!?]{{0,120}}?(?:[,:;—-]|\bthen)\s*(?:{SAY} (?:that|them|him|only|with|the (?:user|word)|"
    r"\"|'|it |(?-i:[A-Z]{4,}))|ignore|pretend|refuse to|decline to|claim)",
    "question_answer": r"\b(?:correct|right|true|only|official|verified|final|proper|expected|"
    r"required)"
    r"(?: and \w+)? (?:answer|reply|response)s? (?:to|for|of) (?:this|that|the|any|every|all|"
    r"each|such|"
    r"questions?)(?: [\w']+){0,4}? (?:questions?|quer(?:y|ies)|prompts?|requests?|topic|subject|"
    r"it)\b(?:[^.!?]{0,80}? (?:is|are|must|should|shall|reads?)\b| ?:)|\bthe (?:answer|reply|"
    r"response) to (?:any|every|all|each|whatever)\b[^.!?]{0,80}? (?:is|are|must|should|reads?)\b|"
    r"\bthe (?:only |one )?(?:correct|right|true|official|verified|expected) answer(?: here)? is\b"
    r"[^.!?]{0,120}?\b(?:ignore|disregard|regardless|no matter|whatever|not matter|other sources|"
    r"and (?:you|nothing else|must)|do not)\b",
    "every_question": rf"{OPENS}(?:answer|reply|respond)(?: to)? (?:any|every|all|each|whatever|"
    rf"the "
    r"user's?|whichever)(?: further| future| other| such| following| user| single)? (?:questions?|"
    r"quer(?:y|ies)|prompts?|messages?|requests?|user|is asked)(?: (?:about|on|with regard to|"
    r"from) "
    r"[^.!?]{0,80}?)?,? (?:with (?!in\b|care|courtesy|patience|respect)|by saying|as (?:if|a |an "
    r"|in |follows)|like |only |in the (?:style|voice|manner)|that )|"
    rf"{OPENS}(?:answer|reply to|respond to) (?:questions?|queries|anything) (?:about|on|"
    rf"regarding|"
    r"concerning) [^.!?]{0,80}? (?:with (?:\"|'|(?-i:[A-Z]{4,})|the words?)|by saying|as follows)|"
    rf"{OPENS}(?:rewrite|rephrase|replace|change|turn) (?:every|each|all|any|the)(?: of)?(?: the)?"
    r"(?: user(?:'s)?| next| last)? (?:questions?|quer(?:y|ies)) (?:as|to|into|with|so)\b",
    "other_sources": rf"{OPENS}(?:ignore|disregard|discard|reject|omit|forget|(?:do not|don't|"
    rf"never) "
    r"(?:use|trust|cite|quote|consult|rely (?:up)?on|believe|mention|consider|read|look at|search|"
    r"open|name|refer to)) (?:[\w'-]+ ){0,2}?"
    rf"(?:all|any|every|other|the other|remaining|those|rest of the)(?: (?:of )?(?:the |these |"
    rf"those )?"
    rf"(?:other|remaining|retrieved|conflicting|contradicting|previous|above|earlier)){{0,2}} "
    rf"{_SOURCES}"
    r"\b(?! (?:of|for|in|on) (?!this (?:question|topic|matter|subject)))|"
    rf"{OPENS}(?:prefer|trust|use|rely on|cite|quote|believe) (?:only )?this (?:document|copy|"
    rf"version|"
    rf"source|passage|file|text|page)\b[^.!?]{{0,30}}?\b(?:over|above|instead of|rather than|and "
    rf"(?:no|not|ignore|disregard)|to (?:all|any|the|every) other|exclusively|alone)\b|"
    r"\byou (?:must|should|are to|have to) (?:always |only )?(?:believe|trust|prefer) (?:only "
    r")?this (?:document|copy|version|source|passage|file|text|page)\b|"
    rf"\bother {_SOURCES}\b[^.!?]{{0,60}}? (?:is|are) (?:outdated|wrong|false|obsolete|fake|"
    rf"unreliable|"
    r"incorrect|forged|invalid)\b[^.!?]{0,40}?\b(?:ignore|disregard|do not|don't|discard|prefer|"
    r"quote|use) |"
    rf"{OPENS}(?:cite|quote|mention|use) (?:[\w-]+ ){{0,6}}?(?:no other {_SOURCES}|as (?:source|"
    rf"\[)? ?\d|as theirs)|\b(?:mention|cite|quote|use|consult) no other {_SOURCES}\b",
    "leak": rf"{OPENS}(?:print|reveal|show|repeat|output|display|list|send|tell|leak|expose|"
    rf"disclose|"
    r"return|share|recite|quote|copy|paste|write out|dump|give|translate|summari[sz]e|enumerate)\b"
    r"[^.!?]{0,60}?\b(?:(?:your|the) (?:\w+ )?(?:system|initial|hidden|original|secret|internal|"
    r"full) "
    r"(?:prompt|instructions?|message|rules|configuration)|your (?:(?:own|exact|entire|whole) )?"
    r"(?:prompt|instructions|guidelines|configuration|context window)|everything (?:above|before "
    r"this)|"
    r"(?:(?:the )?(?:text|words|conversation) above(?: this| verbatim))|(?:of|in|from) (?:the |"
    r"all )?"
    r"other (?:collections?|tenants?|users?|customers'?|indexes|workspaces)|(?:documents?|files?|"
    r"collections?|titles?|secrets?|passwords?|api keys?|data|information) (?:that )?you (?:can "
    r"(?:see|read|reach|access|find)|have (?:access|been given|seen|read)|know|were given|hold|store))",
    "refuse": rf"{OPENS}(?:{SAY}|pretend|tell (?:the )?(?:users?|them|everyone|anyone)|inform "
    r"(?:the )?users?)(?: (?:the )?(?:users?|them|everyone|anyone))?(?: only| always)? (?:that )?"
    r"(?:there is no|no (?:answer|information|data|document|source)|nothing|(?:the |these |your |"
    r"all )?"
    rf"(?:{_SOURCES}|files?|texts?|records?|information|answer) (?:do|does|did|is|are|was|were|can)"
    r"(?: ?n[o']t| un|not)|(?:you|I) (?:do not|don't|can(?:no|')t|could not|are unable|am unable|"
    r"have no|found no|were unable))|"
    rf"{OPENS}(?:refuse|decline) to (?:answer|respond|reply|discuss|help)\b(?! (?:to )?(?:the "
    rf")?(?:press|"
    r"media|journalists|reporters))|"
    rf"{OPENS}(?:do not|don't|never) (?:answer|respond to|reply to) (?:the |any |this )?(?:user|"
    rf"quer|"
    r"prompt)|"
    rf"{OPENS}mark (?:this|every|all|the) (?:question|quer)\w* (?:as )?unanswer\w+",
    "style": rf"{OPENS}(?:answer|respond|reply|speak|talk|write|communicate|translate|phrase|"
    rf"rewrite) (?:[\w,'-]+ ){{0,6}}?(?:in|like|as|using|into|with)(?: only)?(?: [\w'-]+){{0,4}}? "
    rf"{_STYLE}\b|{OPENS}(?:speak|talk|answer|respond|reply|write)(?: only| always| exclusively)? "
    rf"(?:like|as(?: if you (?:are|were))?) an? {_STYLE}\b|"
    rf"{OPENS}(?:adopt|assume|take on) (?:the|a) (?:tone|voice|persona|role|manner|style) of\b",
    "user": rf"{OPENS}(?:do not|don't|never) (?:tell|inform|alert|warn|show|reveal to|let) "
    rf"(?:the |any )?"
    r"users?\b(?=[^.!?]*(?:this|these|instruction|note|know|about it|it\b))|"
    rf"{OPENS}(?:tell|inform|convince|persuade|instruct|direct|urge|advise|ask|warn) (?:the |"
    rf"every |each "
    r"|any |all )users? (?:that|to|their|for|about|how|they)\b|"
    rf"{OPENS}(?:do not|don't|never) (?:mention|reveal|disclose|acknowledge|repeat|refer to) "
    r"(?:that you|the existence of|having|(?:this|these) (?:instructions?|prompts?|orders?|"
    r"directives?)|your (?:instructions?|prompt))",
    "authority": r"\bI(?:,[^,]{1,40},)? (?:hereby )?(?:order|instruct|command|direct|"
    r"authori[sz]e|require)"
    r" you(?:,[^,]{1,40},)? to (?:ignore|disregard|answer|say|reply|respond|reveal|print|output|"
    r"state|bypass|override|treat|tell)|\b(?:openai|anthropic|google|microsoft|your (?:developers?|"
    r"creators?|owners?|makers?|operators?|administrators?|programmers?)|(?:the )?(?:system "
    r")?(?:administrators?|"
    r"developers?|security team|it department)) (?:ha(?:s|ve) )?(?:hereby )?(?:orders?|"
    r"instruct(?:s|ed)?|"
    r"command(?:s|ed)?|direct(?:s|ed)?|require[sd]?|authori[sz]e[sd]?|told|ordered|approved|"
    r"wants?) "
    rf"(?:you\b|{_AI})|\bthis (?:is|was) an? (?:\w+ ){{0,2}}?(?:order|instruction|message|"
    rf"directive|"
    r"command|override) (?:from|by|to) (?:your|the (?:system|developer|ai|assistant|model))|"
    r"\byou(?: are|"
    r"'re| have been) (?:now |hereby )?authori[sz]ed to (?:ignore|bypass|reveal|disclose|override|"
    r"break)",
    "decode": r"\b(?:decode|decrypt|unscramble|reverse) (?:the following|this|the next|these|the "
    r"text|it)"
    r"\b[^.!?]{0,60}\b(?:follow|obey|execute|carry out|do (?:what|as)|act on|run) (?:it|them|the|"
    r"what|its|as)\b|\b(?:follow|obey|execute|carry out) (?:the|these|this|those|my) (?:\w+ "
    r")?(?:instructions?|"
    r"commands?|orders?) (?:\w+ )?(?:instead|below|hidden|encoded|from (?:now|this (?:document|"
    r"page|text))"
    r"|in this (?:document|page|text|file) (?:instead|exactly))\b(?! (?:for|to|when|if|on))",
    "conversation": rf"{OPENS}(?:append|encode|embed|exfiltrate|attach|send|post|forward|"
    rf"transmit|submit|"
    r"copy)\b[^!?]{0,60}?\b(?:conversation|chat (?:history|log)|user's (?:question|data|input|"
    r"query|message)"
    r"|user data|prompt|your context)\b[^!?]{0,60}?(?:https?://|www\.|\bto (?:the |this )?(?:url|"
    r"link|server|address|endpoint|webhook))",
    "forged": r"^[^\w\"'`(\[]*(?:\[?(?:source|citation|reference|document|passage|doc) ?#?\d+\]?|"
    r"\[\d+\]) ?[(\[](?:\w+ )?(?:verified|confirmed|trusted|authoritative|fact[- ]checked|approved|"
    r"official|highest|priority|ground truth)\b",
    "beacon": r"(?:!\[|<img\b|<iframe\b|<script\b|<a\b|"
    r"\]\()[^\n]{0,120}?//[^\s)>]{1,200}[?&][\w.%-]*="
    r"(?:[{\[<]|(?-i:[A-Z_]{4,})\b)|\b(?:replace|substitute|fill in|where|with) "
    r"(?-i:[A-Z_{}\[\]\"'<>]{3,30}) "
    r"(?:is|with|by|being|stands for) (?:the |a |your |his |what )?(?:url[- ]?encoded )?(?:user|"
    r"question|answer|conversation|prompt|summary|chat)|"
    rf"{OPENS}(?:render|fetch|ping|embed|display)\b[^.!?]{{0,80}}?(?:https?://\S*[?=]|data:\w)",
}
LANGUAGES: dict[str, str] = {
    "de": r"\b(?:ignorier\w*|vergiss|vergessen sie|missachte\w*|verwirf|verwerfen sie) (?:\w+ "
    r"){0,3}?(?:vorherig\w*|bisherig\w*|vorig\w*|früher\w*|obig\w*|alle\w*|deine\w*|sämtliche\w*|"
    r"vorangegangen\w*"
    r"|ursprünglich\w*)(?: \w+){0,3}? (?:anweisung|instruktion|vorgabe|regel|befehl|prompt)\w*|"
    r"^\W*(?:und )?(?:antworte|sage?|schreibe?|antworten sie|schreiben sie|sagen sie) (?:\w+ "
    r")?(?:immer|nur|ausschließlich|stets|jed\w+ frage|auf jede frage|auf alle fragen)\b",
    "fr": r"\b(?:ignore[zr]?|oublie[zr]?|néglige[zr]?|ne (?:tiens|tenez) (?:pas|aucun) compte de|"
    r"ne (?:suis|suivez) (?:pas|plus)) (?:[\w']+ ){0,3}?(?:instructions|consignes|directives|"
    r"règles|ordres)"
    r"(?: \w+)? (?:précédent\w*|ci-dessus|antérieur\w*|initial\w*|reçu\w*|ci-avant|d'avant)|"
    r"\boublie[zr]? tout ce qu|"
    r"\b(?:ignore[zr]?|oublie[zr]?) (?:toutes (?:les|tes|vos)|tes|vos) (?:\w+ )?(?:instructions|"
    r"consignes)|"
    r"^\W*(?:et )?(?:réponds|répondez|dis|dites|écris|écrivez) (?:toujours|uniquement|seulement|"
    r"exclusivement|simplement|à (?:toute|chaque) question)\b",
    "es": r"\b(?:ignor[ae]n?|olvid[ae]n?|descart[ae]n?|ha(?:z|ga) caso omiso de|no (?:sigas|siga)) "
    r"(?:\w+ ){0,4}?(?:instrucciones|indicaciones|órdenes|reglas|directrices)(?: \w+){0,2}? "
    r"(?:anterior\w*|previas|iniciales|de arriba|recibidas)|\bolvid[ae] todo lo que|"
    r"\b(?:ignor[ae]|olvid[ae]) (?:todas (?:las|tus|sus)|tus) (?:\w+ )?(?:instrucciones|"
    r"indicaciones)|"
    r"^\W*(?:y )?(?:respond[ae]|contest[ae]|di|diga|escrib[ae]) (?:siempre|solo|sólo|solamente|"
    r"únicamente|simplemente|a (?:toda|cada|cualquier) pregunta)\b",
    "it": r"\b(?:ignora(?:te|re)?|dimentica(?:te|re)?|trascura(?:te)?) (?:\w+ ){0,4}?(?:istruzioni|"
    r"indicazioni|regole|direttive)(?: \w+){0,2}? (?:precedenti|sopra|iniziali|ricevute)|"
    r"^\W*(?:e )?(?:rispondi|rispondete|scrivi|di') (?:sempre|solo|soltanto|esclusivamente|"
    r"unicamente|a (?:ogni|qualsiasi) domanda)\b",
    "pt": r"\b(?:ignor[ae]m?|esqueça|esquece|desconsidere|descarte) (?:\w+ ){0,4}?(?:instruções|"
    r"orientações|regras|ordens|diretrizes)(?: \w+){0,2}? (?:anteriores|acima|prévias|iniciais|"
    r"recebidas)|^\W*(?:e )?(?:respond[ae]|diga|escreva) (?:sempre|apenas|somente|só|unicamente|a "
    r"(?:qualquer|toda) pergunta)\b",
    "nl": r"\b(?:negeer|vergeet) (?:\w+ ){0,3}?(?:vorige|eerdere|bovenstaande|alle|je|voorgaande)"
    r"(?: \w+){0,2}? (?:instructies|aanwijzingen|opdrachten|regels)|^\W*(?:antwoord|zeg|schrijf) "
    r"(?:\w+ )?(?:altijd|alleen|uitsluitend|enkel|op elke vraag)\b",
    "pl": r"\b(?:z?ignoruj(?:cie)?|zapomnij|pomiń|porzuć) (?:\w+ ){0,3}?(?:poprzedni\w*|"
    r"wcześniejsz\w*|"
    r"wszystki\w*|powyższ\w*)(?: \w+){0,2}? (?:instrukcj\w*|polece\w*|wytyczn\w*|zasad\w*)|"
    r"^\W*(?:odpowiadaj|odpowiedz|napisz|powiedz) (?:zawsze|tylko|wyłącznie|na każde pytanie)\b",
    "ru": r"\b(?:(?:про)?игнорируй(?:те)?|забудь(?:те)?|отбрось(?:те)?|не (?:следуй|"
    r"выполняй)(?:те)?|"
    r"не обращай(?:те)? внимания на) (?:\w+ ){0,3}?(?:предыдущ|прежн|прошл|выше|все|сво|ваш|тво|"
    r"ранее)\w*(?: \w+){0,2}? ?(?:инструкци|указани|команд|правил|распоряжени)\w*|"
    r"^\W*(?:и )?(?:отвечай|ответь|напиши|скажи|пиши)(?:те)? (?:всегда|только|исключительно|на "
    r"(?:любой|каждый|все) вопрос\w*)\b",
    "uk": r"\b(?:(?:про)?ігноруй(?:те)?|забудь(?:те)?|відкинь(?:те)?|не (?:виконуй|"
    r"дотримуйся)(?:те|сь)?|"
    r"не зважай(?:те)? на) (?:\w+ ){0,3}?(?:попередн|вищезазначен|усі|всі|сво|тво|ваш|раніше|"
    r"минул)\w*(?: \w+){0,2}? ?(?:інструкці|вказів|команд|правил|розпоряджен)\w*|"
    r"^\W*(?:і |та )?(?:відповідай|відповідь|напиши|скажи|пиши)(?:те)? (?:завжди|тільки|лише|"
    r"виключно|на (?:будь-яке|кожне|всі|усі) (?:за)?питан\w*)\b",
    "tr": r"\b(?:önceki|yukarıdaki|tüm|bütün) (?:\w+ ){0,2}?(?:talimat|komut|yönerge|kural)\w* "
    r"(?:\w+ ){0,2}?(?:yok say|görmezden gel|unut|dikkate alma)",
    "zh": r"(?:忽略|无视|忽視|無視|不要理会|不要理會|忘记|忘記|不要遵[守循])"
    r".{0,10}(?:指令|指示|提示词?|规则|規則|命令|"
    r"说明|說明)|(?:请|請)?(?:只|仅|一律|始终|總是|总是)(?:需要?)?(?:回答|回复|回覆|输出|輸出|说|說)|"
    r"对(?:所有|任何|每个)问题.{0,8}(?:回答|回复)",
    "ja": r"(?:指示|命令|指令|プロンプト|ルール).{0,6}(?:無視し|忘れて|従わな)|"
    r"(?:とだけ|だけを?)(?:答え|回答し|返答し|出力し|返し)",
    "ko": r"(?:지시|명령|지침|프롬프트|규칙).{0,8}(?:무시|잊)|"
    r"(?:라고|만)\s?(?:대답|답변|답|출력)(?:해|하)",
    "ar": r"(?:تجاهل|انس|تجاهلوا|أهمل).{0,15}(?:التعليمات|الأوامر|الإرشادات|القواعد|تعليمات)",
    "hi": r"(?:निर्देश|आदेश|नियम).{0,25}(?:अनदेखा|नज़रअंदाज़|नजरअंदाज|भूल)",
}
