"""Built-in stop lists: function words, split at apostrophes as by the default token pattern."""

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

_ARABIC = """
و في من على إلى الى عن مع بين حتى منذ عند عبر خلال حول بعد قبل فوق تحت أمام وراء دون بدون ضد نحو لدى لدن سوى غير عدا
خلا حاشا هو هي هم هما هن أنا نحن أنت أنتم أنتما أنتن إياه إياها هذا هذه هذان هاتان هؤلاء ذلك تلك أولئك ذاك ذا الذي
التي الذين اللذان اللتان اللاتي اللواتي ما ماذا متى أين كيف كم أي أية أيضا لماذا هل لا لم لن ليس ليست ليسوا لست لسنا
كان كانت كانوا كنت كنا يكون تكون يكونوا سيكون أن إن ان أنه إنه انه أنها إنها انها أنهم إنهم لأن لأنه لأنها لكن لكنه
ولكن كأن لعل ليت أو أم أما إما بل ثم قد لقد فقد وقد سوف كل كلا كلتا بعض جميع كما كلما مما مثل إذا اذا إذ لو لولا لوما
حيث حين حينما عندما بينما بعدما قبلما ريثما فيما فيه فيها فيهم منه منها منهم عليه عليها عليهم إليه إليها إليهم عنه
عنها عنهم معه معها معهم به بها بهم له لها لهم لك لي لنا بنا هنا هناك هنالك الآن وهو وهي وهم وما ولا ولم وفي ومن وعلى
وإلى وعن وأن وكان وكانت وهذا وهذه
"""

_DANISH = """
i og at er en et den det de der som på til med for af fra om ved under over efter mellem mod uden inden før gennem hos
omkring jeg du han hun vi man mig dig ham hende os jer dem min mit mine din dit dine sin sit sine hans hendes vores
jeres deres dens dets denne dette disse selv sig hvad hvem hvor hvordan hvorfor hvornår hvilken hvilket hvilke hver
hvert ikke ingen intet noget nogen nogle alle alt al anden andet andre begge mange meget mere mest få samme sådan
sådanne så da når hvis fordi mens men eller enten hverken end også kun bare jo nu her derfor dog endnu altid aldrig
være var været bliver blive blev blevet har have havde haft kan kunne skal skulle vil ville må måtte bør burde gør
gøre gjorde ad op ned ud ind hen
"""

_DUTCH = """
u de het een en van ik te dat die in is was op aan met als voor er maar om dan zou of wat mijn men dit zo door over ze
zich bij ook tot je mij uit der daar haar naar heb heeft had hoe hem want nog zal me zij nu ge geen omdat iets worden
toch al waren veel meer doen deed moet moest ben zonder kan kon hun dus alles onder ja nee werd wordt wezen zelf tegen
na reeds wil wilde niets uw iemand geweest andere ander hij we wij jij jou jouw jullie ons onze hen deze degene
diegene welke wie waar waarom wanneer hier niet nooit altijd alleen elk elke ieder iedere enkele enige sommige beide
zulk zulke zijn hebben hadden kunnen konden zullen zouden mogen mag mocht moeten moesten gaan gaat werden tussen sinds
tijdens volgens vanaf binnen buiten naast achter terwijl hoewel indien zodat zodra totdat noch ofwel echter
"""

_FINNISH = """
olla olen olet on olemme olette ovat ole oli olin olit olimme olitte olivat ollut olleet olisi olisin olisit olisimme
olisitte olisivat ei en et emme ette eivät älä älkää minä minun minua minut minussa minusta minuun minulla minulta
minulle sinä sinun sinua sinut sinussa sinusta sinuun sinulla sinulta sinulle hän hänen häntä hänet hänessä hänestä
häneen hänellä häneltä hänelle me meidän meitä meidät meissä meistä meihin meillä meiltä meille te teidän teitä teidät
teissä teistä teihin teillä teiltä teille he heidän heitä heidät heissä heistä heihin heillä heiltä heille tämä tämän
tätä tässä tästä tähän tällä tältä tälle tänä täksi tuo tuon tuota tuossa tuosta tuohon tuolla tuolta tuolle se sen
sitä siinä siitä siihen sillä siltä sille nämä näiden näitä näissä näistä näihin näillä näiltä näille nuo noiden noita
noissa noista ne niiden niitä niissä niistä niihin niillä niiltä niille kuka kenen ketä ketkä kenet mikä minkä mitä
missä mistä mihin millä miltä mille mitkä joka jonka jota jossa josta johon jolla jolta jolle jotka joiden joita
joissa joista joihin joilla että ja jos koska kuin mutta niin sekä tai vaan vai vaikka kun kanssa mukaan noin poikki
yli ali alla ennen jälkeen ilman myös vain nyt itse kuitenkin
"""

_FRENCH = """
à y le la les un une des du de au aux et ou où ni mais donc or car que qu qui quoi dont lequel laquelle lesquels
lesquelles duquel auquel ce cet cette ces ceci cela ça celui celle ceux celles je tu il elle on nous vous ils elles me
te se lui leur leurs eux moi toi soi en mon ma mes ton ta tes son sa ses notre nos votre vos dans par pour sur sous
avec sans vers chez entre contre depuis pendant avant après devant derrière dès jusque jusqu selon malgré parmi ne pas
plus moins non oui si comme quand lorsque lorsqu puisque puisqu quoique quoiqu parce ainsi alors aussi très bien même
mêmes tout toute tous toutes autre autres quel quelle quels quelles quelque quelques chaque aucun aucune certains
certaines plusieurs tel telle tels telles suis es est sommes êtes sont étais était étions étiez étaient fus fut fûmes
furent serai seras sera serons serez seront serais serait serions seraient sois soit soyons soyez soient fusse fût été
étant être ai as avons avez ont avais avait avions aviez avaient eus eut eurent aurai auras aura aurons aurez auront
aurais aurait aurions auraient aie aies ait ayons ayez aient eu ayant avoir ici là encore toujours jamais
"""

_GERMAN = """
der die das den dem des ein eine einen einem einer eines und oder aber doch denn sondern als wie wenn weil dass daß ob
obwohl damit bevor nachdem während bis seit ich du er sie es wir ihr mich dich ihn uns euch mir dir ihm ihnen sich
mein meine meinen meinem meiner meines dein deine deinen deinem deiner deines sein seine seinen seinem seiner seines
ihre ihren ihrem ihrer ihres unser unsere unseren unserem unserer unseres euer eure euren eurem eurer eures dieser
diese dieses diesen diesem jener jene jenes jenen jenem jeder jede jedes jeden jedem welcher welche welches welchen
welchem solcher solche solches solchen solchem derselbe dieselbe dasselbe wer wen wem wessen was wo wohin woher wann
warum man kein keine keinen keinem keiner keines nicht nichts nie alle aller alles allen allem andere anderen anderem
anderer anderes einige einigen einiger einiges manche manchen mancher manches viel viele vielen etwas jemand selbst in
an auf aus bei mit nach von vor zu über unter zwischen durch für gegen ohne um hinter neben im am ins ans beim vom zum
zur bin bist ist sind seid war warst waren wart gewesen werde wirst wird werden werdet wurde wurden worden würde
würden habe hast hat haben habt hatte hatten gehabt kann kannst können konnte konnten könnte könnten muss müssen
musste mussten soll sollen sollte sollten will wollen wollte wollten darf dürfen mag mögen so auch nur noch schon sehr
dann da dort hier nun jetzt also daher dazu dabei davon darauf dafür dagegen darin hin her
"""

_HUNGARIAN = """
a ő s az egy és vagy de hogy ha mert mint is nem ne sem se igen csak már még meg el ki be fel le át rá ide oda itt ott
így úgy ez azt ezt ezek azok ennek annak ezzel azzal ebben abban ebből abból erre arra ezen azon ehhez ahhoz ettől
attól én te mi ti ők engem téged őt minket titeket őket nekem neked neki nekünk nektek nekik velem veled vele velünk
veletek velük rám rád róla tőle hozzá benne rajta magam magad maga magát maguk aki akit akik akinek ami amit amik
amely amelyet amelyek amelynek amelyben ahol ahogy ahová amikor amíg amint mikor hol hová honnan hogyan miért milyen
melyik mennyi kik kit mit van vannak volt voltak volna lesz lesznek lett lettek legyen lenne lennének lehet lehetett
kell kellett fog fogja fogják vagyok vagyunk nincs nincsenek minden mindenki mindig mind más mások másik valaki valami
valamint néhány sok több egyik egyes olyan ilyen ugyanis tehát azonban pedig hanem illetve ezért azért akkor most után
alatt előtt között felett mellett nélkül szerint által miatt óta ellen keresztül felé múlva számára együtt szemben
nagyon ismét újra jól
"""

_ITALIAN = """
e o a i è il lo la gli le un uno una di del dello della dell dei degli delle da dal dallo dalla dall dai dagli dalle
in nel nello nella nell nei negli nelle su sul sullo sulla sull sui sugli sulle al allo alla all ai agli alle con col
coi per tra fra ed od ma se perché che chi cui come dove quando quale quali quanto quanta quanti quante non né io tu
lui lei noi voi loro egli ella esso essa essi esse mi ti ci vi si ne me te sé mio mia miei mie tuo tua tuoi tue suo
sua suoi sue nostro nostra nostri nostre vostro vostra vostri vostre questo questa questi queste quest quello quella
quelli quelle quell quel quei quegli ciò stesso stessa stessi stesse altro altra altri altre ogni ognuno alcuno alcuna
alcuni alcune nessuno nessuna qualche tutto tutta tutti tutte molto molta molti molte più meno anche ancora già poi
così però quindi dunque mentre sia oppure anzi sono sei siamo siete ero eri era eravamo eravate erano fui fu furono
sarò sarai sarà saremo sarete saranno sarei sarebbe sarebbero siano fosse fossero essere stato stata stati state
essendo ho hai ha abbiamo avete hanno avevo avevi aveva avevamo avevano ebbe ebbero avrò avrà avranno avrebbe
avrebbero abbia abbiano avesse avessero avere avuto avendo senza sotto sopra verso contro dopo prima durante presso
"""

_NORWEGIAN = """
i å og at er en et ei den det de der som på til med for av fra om ved under over etter mellom mot uten innen før
gjennom hos rundt jeg eg du han hun ho vi dere me meg deg henne oss dem dei min mitt mine di din ditt dine sin sitt
sine hans hennes vår vårt våre deres dens dets denne dette disse selv sjøl seg hva kva hvem kven hvor kvar hvordan
korleis hvorfor kvifor når hvilken hvilket hvilke hver hvert ikke ikkje ingen intet noe noko noen nokon nokre alle alt
all annen anna andre begge mange mye meget mer mest få samme slik slike så da då hvis dersom fordi mens men eller
enten verken enn også bare kun jo nå no her derfor dog ennå alltid aldri være vere var vært vore blir blei ble blitt
bli har ha hadde hatt kan kunne skal skulle vil ville må måtte bør burde gjør gjøre gjorde opp ned ut inn ein eit frå
sidan
"""

_PORTUGUESE = """
o a e à é os as um uma uns umas de do da dos das em no na nos nas num numa nuns numas por pelo pela pelos pelas ao aos
às para pra com sem sob sobre entre até desde após ante contra durante perante segundo que quem qual quais cujo cuja
cujos cujas onde quando como quanto quanta quantos quantas porque pois mas ou nem se embora enquanto portanto porém
contudo todavia logo eu tu ele ela nós vós eles elas você vocês me te lhe lhes vos mim ti si comigo contigo consigo
conosco meu minha meus minhas teu tua teus tuas seu sua seus suas nosso nossa nossos nossas dele dela deles delas este
esta estes estas isto esse essa esses essas isso aquele aquela aqueles aquelas aquilo deste desta destes destas disto
desse dessa desses dessas disso daquele daquela neste nesta nestes nestas nesse nessa nisso naquele naquela mesmo
mesma mesmos mesmas outro outra outros outras todo toda todos todas tudo algum alguma alguns algumas nenhum nenhuma
cada muito muita muitos muitas mais menos não também já ainda só apenas sempre nunca aqui ali lá então assim ser sou
és somos são era eram foi fomos foram fora seja sejam fosse fossem for forem será serão seria seriam sido sendo estar
estou está estamos estão estava estavam esteve esteja estejam estivesse ter tenho tem têm temos tinha tinham teve
tiveram tenha tenham tivesse terá terão teria haver há havia houve haja houvesse
"""

_ROMANIAN = """
o a un una unu unui unei unor niște al ai ale ei lui lor de din la pe cu în in prin pentru despre spre către peste sub
între printre după până fără fară contra lângă dinspre și si sau ori dar iar însă ci deci că ca să dacă deși când unde
cum cât câtă câți câte cine ce care căruia căreia cărora eu tu el ea noi voi ele mine tine sine mă te se ne vă îl îi
îmi îți își mi ți le mie ție meu mea mei mele tău ta tăi tale său sa săi sale nostru noastră noștri noastre vostru
voastră voștri voastre acest această acești aceste acestui acestei acestor acesta aceasta aceștia acestea acel acea
acei acele acelui acelei acelor acela aceea ăsta asta același aceeași alt altă alți alte altul alta fiecare oricare
orice oricine nimeni nimic niciun nicio nici nu mai foarte prea tot toată toți toate atât atunci acum aici acolo așa
astfel încă deja doar numai chiar este ești sunt suntem sunteți era eram erau fi fie fost fiind fu va vor vom veți ar
aș am are avem aveți au avea avut aibă aveam aveau poate pot putea
"""

_RUSSIAN = """
и в я с а к у о во не что он на со как то все всё она так его но да ты же вы за бы по ее её мне было вот от меня еще
ещё нет из ему теперь когда даже ну вдруг ли если уже или ни быть был него до вас нибудь опять уж вам ведь там потом
себя ничего ей может они тут где есть надо ней для мы тебя их чем была сам чтоб чтобы без будто чего раз тоже себе под
будет тогда кто этот того потому этого какой совсем ним здесь этом один почти мой тем нее неё сейчас были куда зачем
всех никогда можно при об обо хоть после над больше тот через эти нас про всего них какая много разве три эту моя свою
этой перед иногда том нельзя такой им более всегда конечно всю между это эта этих этим этими те той тех теми наш наша
наше наши ваш ваша ваше ваши моё мое мои твой твоя твои свой своя свое своё свои который которая которое которые
которого которой которых которым которому которыми будут буду будем являются является также однако либо пока чей чья
сама само сами самой каждый каждая весь вся
"""

_SPANISH = """
y o a e u el la los las un una unos unas lo al del de en con por para sin sobre entre hasta desde hacia según bajo
contra durante mediante tras ante que quien quienes cual cuales cuyo cuya cuyos cuyas donde cuando como cuanto cuanta
cuantos cuantas qué quién quiénes cuál cuáles dónde cuándo cómo cuánto ni pero mas sino aunque porque pues si no sí ya
yo tú él ella ello nosotros nosotras vosotros vosotras ellos ellas usted ustedes me te se nos os le les mí ti conmigo
contigo consigo mi mis tu tus su sus mío mía míos mías tuyo tuya tuyos tuyas suyo suya suyos suyas nuestro nuestra
nuestros nuestras vuestro vuestra vuestros vuestras este esta esto estos estas ese esa eso esos esas aquel aquella
aquello aquellos aquellas éste ésta éstos éstas mismo misma mismos mismas otro otra otros otras todo toda todos todas
algo alguien alguno alguna algunos algunas algún nada nadie ninguno ninguna ningún cada tan tanto tanta tantos tantas
mucho mucha muchos muchas muy más menos poco poca pocos pocas también tampoco así entonces luego siempre nunca aquí
ahí allí soy eres es somos sois son era eras éramos eran fui fue fuimos fueron seré será serán sería serían sea sean
fuera fueran fuese siendo sido ser estoy está estamos están estaba estaban estuvo estuvieron esté estén estar estado
he has ha hemos habéis han había habían hubo haya hayan hubiera hubieran habrá habría haber hay tengo tiene tienen
tenía tenían tuvo tener
"""

_SWEDISH = """
i å och att det som en ett den de är på till med för av från om vid under över efter mellan mot utan innan före genom
hos kring åt ur jag du han hon vi ni man mig dig honom henne oss er dem min mitt mina din ditt dina sin sitt sina hans
hennes vår vårt våra ert era deras dess denna detta dessa själv sig vad vem vems var vart hur varför när vilken vilket
vilka varje vars inte icke ej ingen inget inga något någon några alla allt all annan annat andra båda många mycket mer
mest få samma sådan sådant sådana så då där här eftersom medan men eller antingen varken än också bara endast ju nu
dock ännu alltid aldrig sedan vara varit blir bli blev blivit har ha hade haft kan kunde ska skall skulle vill ville
måste bör borde får fick gör göra gjorde upp ned ner ut in dit hit därför även
"""

_TURKISH = """
o ve veya ya da de ki mi mı mu mü ile için gibi kadar göre karşı doğru beri önce sonra rağmen dolayı üzere bir bu şu
bunlar şunlar onlar bunu şunu onu buna şuna ona bunun şunun onun bunda şunda onda bundan şundan ondan bunların onların
onları onlara onlardan ben sen biz siz beni seni bizi sizi bana sana bize size benim senin bizim sizin bende sende
bizde sizde benden senden bizden sizden kendi kendisi kendine kendini kim kimi kime kimin kimse ne neden nasıl niçin
niye nerede nereye hangi hangisi kaç her hep hepsi hiç hiçbir bazı bazıları birçok birkaç biri birisi çok az daha en
pek başka diğer aynı böyle şöyle öyle ama fakat ancak lakin yoksa çünkü eğer ise hem yani zaten bile sadece yalnız
değil var yok evet hayır idi imiş iken olan olarak olduğu olduğunu olup olur oldu olması olsa olmak olmayan etmek eden
etti ediyor edilen şey şimdi burada orada dahi üzerinde arasında tarafından
"""

STOP_WORDS = {"english": ENGLISH_STOP_WORDS} | {
    language: frozenset(words.split())
    for language, words in {
        "arabic": _ARABIC,
        "danish": _DANISH,
        "dutch": _DUTCH,
        "finnish": _FINNISH,
        "french": _FRENCH,
        "german": _GERMAN,
        "hungarian": _HUNGARIAN,
        "italian": _ITALIAN,
        "norwegian": _NORWEGIAN,
        "portuguese": _PORTUGUESE,
        "romanian": _ROMANIAN,
        "russian": _RUSSIAN,
        "spanish": _SPANISH,
        "swedish": _SWEDISH,
        "turkish": _TURKISH,
    }.items()
}
