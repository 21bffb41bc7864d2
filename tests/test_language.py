"""Which language a text is in: short questions in fourteen languages, and English full of names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.language import language, name

QUESTIONS = {
    "en": """When was the treaty signed?
How many people work for the agency today?
Which countries gave security assurances?
Summarise the second chapter for me
What happens if the contract is cancelled early?
Is there a deadline for the application?
Give three reasons why the plan failed
Where can I find the annual report?
the main causes of the crisis
Explain the new pension rules""",
    "uk": """Коли було підписано Будапештський меморандум?
Хто заснував Київ?
Скільки людей живе в Україні?
Які країни надали гарантії безпеки?
Де знаходиться найбільша бібліотека міста?
Чому переговори завершилися без результату?
Що таке децентралізація влади?
Як подати заяву на отримання пенсії?
Чи можна отримати довідку онлайн?
Яка площа Чорного моря?
Розкажи про реформу освіти
Коли набув чинності договір про дружбу?
Хто був першим президентом Польщі?
Що сказав міністр про бюджет на наступний рік?""",
    "ru": """Когда был подписан договор о дружбе?
Кто основал Санкт-Петербург?
Сколько человек живёт в этом городе?
Какие страны дали гарантии безопасности?
Где находится самая большая библиотека?
Почему переговоры закончились без результата?
Что такое инфляция?
Как подать заявление на пенсию?
Можно ли получить справку онлайн?
Какая площадь Чёрного моря?
Расскажи о реформе образования
Кто был первым президентом Польши?
Что сказал министр о бюджете на следующий год?
Когда вступил в силу новый закон?""",
    "de": """Wann wurde der Vertrag unterzeichnet?
Wer hat das Unternehmen gegründet?
Wie viele Menschen leben in Berlin?
Welche Länder haben Sicherheitsgarantien gegeben?
Wo befindet sich die größte Bibliothek der Stadt?
Warum sind die Verhandlungen gescheitert?
Was ist eine Genossenschaft?
Wie kann ich einen Antrag auf Rente stellen?
Gibt es eine Frist für die Bewerbung?
Was sagte der Minister über den Haushalt?
Fasse das zweite Kapitel zusammen
Was kostet die Mitgliedschaft im Jahr?
Ist der Vertrag noch gültig?
Nenne drei Ursachen der Krise""",
    "fr": """Quand le traité a-t-il été signé ?
Qui a fondé cette entreprise ?
Combien de personnes vivent à Paris ?
Quels pays ont donné des garanties de sécurité ?
Où se trouve la plus grande bibliothèque de la ville ?
Pourquoi les négociations ont-elles échoué ?
Qu'est-ce que la décentralisation ?
Comment puis-je demander une pension ?
Y a-t-il un délai pour la candidature ?
Qu'a dit le ministre au sujet du budget ?
Résume le deuxième chapitre
Quelle est la superficie de la mer Noire ?
Est-ce que le contrat est encore valable ?
Donne trois causes de la crise""",
    "es": """¿Cuándo se firmó el tratado?
¿Quién fundó esta empresa?
¿Cuántas personas viven en Madrid?
¿Qué países dieron garantías de seguridad?
¿Dónde está la biblioteca más grande de la ciudad?
¿Por qué fracasaron las negociaciones?
¿Qué es la descentralización?
¿Cómo puedo solicitar una pensión?
¿Hay un plazo para la solicitud?
Qué dijo el ministro sobre el presupuesto
Resume el segundo capítulo del informe
cual es la capital de noruega
¿Cuál es la superficie del mar Negro?
¿Sigue siendo válido el contrato?""",
    "it": """Quando è stato firmato il trattato?
Chi ha fondato questa azienda?
Quante persone vivono a Roma?
Quali paesi hanno dato garanzie di sicurezza?
Dove si trova la più grande biblioteca della città?
Perché sono fallite le trattative?
Che cos'è la decentralizzazione?
Come posso richiedere una pensione?
C'è una scadenza per la domanda?
Che cosa ha detto il ministro sul bilancio?
Riassumi il secondo capitolo della relazione
Qual è la superficie del Mar Nero?
Il contratto è ancora valido?
Quanto costa l'iscrizione all'anno?""",
    "pl": """Kiedy podpisano traktat?
Kto założył tę firmę?
Ile osób mieszka w Warszawie?
Które kraje udzieliły gwarancji bezpieczeństwa?
Gdzie znajduje się największa biblioteka w mieście?
Dlaczego negocjacje zakończyły się niepowodzeniem?
Co to jest decentralizacja?
Jak mogę złożyć wniosek o emeryturę?
Czy jest termin składania podań?
Co powiedział minister o budżecie?
Streść drugi rozdział raportu
Jaka jest powierzchnia Morza Czarnego?
Czy umowa jest nadal ważna?
Kto był pierwszym prezydentem Polski?""",
    "pt": """Quando foi assinado o tratado?
Quem fundou esta empresa?
Quantas pessoas vivem em Lisboa?
Quais países deram garantias de segurança?
Onde fica a maior biblioteca da cidade?
Por que as negociações fracassaram?
O que é a descentralização?
Como posso pedir uma pensão?
Há um prazo para a candidatura?
O que disse o ministro sobre o orçamento?
Resuma o segundo capítulo do relatório
Qual é a área do mar Negro?
O contrato ainda é válido?
Quanto custa a inscrição por ano?""",
    "nl": """Wanneer werd het verdrag ondertekend?
Wie heeft dit bedrijf opgericht?
Hoeveel mensen wonen er in Amsterdam?
Welke landen gaven veiligheidsgaranties?
Waar staat de grootste bibliotheek van de stad?
Waarom zijn de onderhandelingen mislukt?
Wat is decentralisatie?
Hoe kan ik een pensioen aanvragen?
Is er een termijn voor de aanvraag?
Wat zei de minister over de begroting?
Vat het tweede hoofdstuk samen
Wat is de oppervlakte van de Zwarte Zee?
Is het contract nog geldig?
Wie was de eerste president van Polen?""",
    "tr": """Antlaşma ne zaman imzalandı?
Bu şirketi kim kurdu?
İstanbul'da kaç kişi yaşıyor?
Hangi ülkeler güvenlik garantisi verdi?
Şehrin en büyük kütüphanesi nerede?
Müzakereler neden başarısız oldu?
Enflasyon nedir?
Emeklilik için nasıl başvurabilirim?
Başvuru için son tarih var mı?
Bakan bütçe hakkında ne söyledi?
Raporun ikinci bölümünü özetle
Karadeniz'in yüzölçümü ne kadar?
Sözleşme hâlâ geçerli mi?
Polonya'nın ilk cumhurbaşkanı kimdi?""",
    "zh": """条约是什么时候签署的？
谁创立了这家公司？
北京有多少人口？
哪些国家提供了安全保证？
这个城市最大的图书馆在哪里？
谈判为什么失败了？
什么是通货膨胀？
請問如何申請退休金？
合同还有效吗？
NATO 是什么组织？""",
    "ja": """条約はいつ署名されましたか？
この会社を設立したのは誰ですか？
東京には何人が住んでいますか？
どの国が安全保障を提供しましたか？
この市で一番大きい図書館はどこですか？
交渉はなぜ失敗したのですか？
インフレとは何ですか？
年金はどのように申請しますか？
NATOとは何ですか？
契約はまだ有効ですか？""",
    "ar": """متى تم توقيع المعاهدة؟
من أسس هذه الشركة؟
كم عدد سكان القاهرة؟
ما هي الدول التي قدمت ضمانات أمنية؟
أين تقع أكبر مكتبة في المدينة؟
لماذا فشلت المفاوضات؟
ما هو التضخم؟
كيف يمكنني التقدم بطلب للحصول على معاش؟
هل العقد لا يزال ساريا؟
ماذا قال الوزير عن الميزانية؟""",
}
ENGLISH_WITH_NAMES = """Who is Volodymyr Zelenskyy?
What did Bundeskanzler Scholz say?
Who founded the Sejm Wielki?
Who was Konrad Adenauer?
What is the Bundesverfassungsgericht?
What is the Assemblée nationale?
Who leads Rassemblement National?
When did Médecins Sans Frontières open?
What is the Conseil d'État?
Who wrote Les Misérables?
Who wrote La vita è bella?
Who directed Das Leben der Anderen?
What does Liberté, égalité, fraternité mean?
Who painted Las Meninas?
What is the Museo Nacional del Prado?
Where is Rio de Janeiro?
Where is Santiago de Compostela?
Who is Andrés Manuel López Obrador?
When was Luiz Inácio Lula da Silva elected?
What is Petróleo Brasileiro?
Who runs Banco Santander?
What is the Verkhovna Rada?
Who is Oleksandr Syrskyi?
What is Ukrzaliznytsia?
Where is Ivano-Frankivsk?
Who is Recep Tayyip Erdoğan?
What is Adalet ve Kalkınma Partisi?
Where is Diyarbakır?
Who founded Türkiye Cumhuriyeti?
Who was Lech Wałęsa?
What is Prawo i Sprawiedliwość?
Who leads Platforma Obywatelska?
Where is Łódź?
Who was Józef Piłsudski?
What is the Rijksmuseum?
Who leads Partij voor de Vrijheid?
Who was Willem van Oranje?
What is the Tweede Kamer?
Who was Giuseppe Garibaldi?
What is Fratelli d'Italia?
Where is Reggio nell'Emilia?
What did Corriere della Sera report?
Who is Ursula von der Leyen?
What did Der Spiegel write in 1962?
What was the Wirtschaftswunder?
What does Realpolitik mean?
What is Zeitgeist?
Who sang Non, je ne regrette rien?
What is déjà vu?
What is a coup d'état?
Who is Emmanuel Macron?
Was Nicolas Sarkozy convicted?
Did Angela Merkel meet Vladimir Putin?
Is Schleswig-Holstein a state?
Define habeas corpus
What is the meaning of Москва?
What does 北京 mean?
Who is Владимир Зеленский?
How is 東京 written in English?
Does Deutsche Bank own Postbank?
Can Crédit Agricole buy Banco BPM?
Who won Copa Libertadores in 2019?
List books by Gabriel García Márquez
What did Die Zeit and Le Monde say?
Where did El País first appear?
Name the members of Die Linke
Do Die Grünen oppose it?
Is pasta carbonara Italian?
Was Juan Carlos I king?""".splitlines()


@pytest.mark.parametrize(
    ("code", "question"),
    [(code, line) for code, lines in QUESTIONS.items() for line in lines.splitlines()],
)
def test_questions(code: str, question: str) -> None:
    assert language(question) in (code, None)


def test_few_are_left_open() -> None:
    asked = [line for lines in QUESTIONS.values() for line in lines.splitlines()]
    assert sum(language(line) is None for line in asked) <= len(asked) * 0.05


@pytest.mark.parametrize("question", ENGLISH_WITH_NAMES)
def test_foreign_names_leave_a_question_english(question: str) -> None:
    assert language(question) in ("en", None)


@pytest.mark.parametrize("text", ["", "  ", "2014?", "NATO", "???", "42 %", "🙂", "Berlin"])
def test_too_little_to_tell(text: str) -> None:
    assert language(text) is None


@pytest.mark.parametrize(
    ("code", "expected"),
    [("uk", "Ukrainian"), ("en", "English"), ("ja", "Japanese"), ("xx", "xx")],
)
def test_name(code: str, expected: str) -> None:
    assert name(code) == expected


def test_long_text_is_told_quickly() -> None:
    assert language("Der Vertrag wurde im Jahr 1994 in Budapest unterzeichnet. " * 20_000) == "de"


@given(st.text())
def test_any_text_has_a_code_or_none(text: str) -> None:
    code = language(text)
    assert code is None or (len(code) == 2 and code.isalpha())
