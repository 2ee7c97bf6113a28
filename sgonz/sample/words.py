"""The lexicon: Spanish words by what they can stand for.

Order matters: the last fifth of a list that is drawn with `Draw.open` never turns up in training text.
"""

from __future__ import annotations


def each(text: str, at: str = " ") -> tuple[str, ...]:
    """The words or names of a list that is written as one text."""
    return tuple(text.split(at))


WOMEN = each(
    "Ana María Lucía Carmen Sofía Elena Paula Inés Laura Julia Marta Rocío Clara Beatriz Raquel Irene Nuria "
    "Silvia Pilar Teresa Amparo Gabriela Verónica Camila Josefina Consuelo Ágata Úrsula Begoña Micaela"
)
MEN = each(
    "Juan Pedro Luis Carlos Miguel Jorge Andrés José Diego Martín Pablo Sergio Tomás Hugo Óscar Rubén Raúl Iván "
    "Víctor Álvaro Ramón Ignacio Joaquín Emilio Esteban Gonzalo Nicolás Baltasar Leandro Ulises"
)
SURNAMES = each(
    "García Pérez López Martínez Rodríguez Fernández Gómez Díaz Torres Ruiz Ramírez Flores Castro Vargas Rojas "
    "Núñez Muñoz Silva Molina Ortega Delgado Peña Ibáñez Soto Vega Campos Fuentes Herrera Medina Cabrera Acuña "
    "Bustamante Echeverría Zamorano Quiñones Urrutia Villalobos Yáñez Olavarría Montalbán"
)
CITIES = each(
    "Madrid,Sevilla,Valencia,Bilbao,Zaragoza,Granada,Lima,Quito,Bogotá,Santiago,Montevideo,Rosario,Córdoba,"
    "Buenos Aires,La Paz,Asunción,Caracas,Panamá,Managua,Guadalajara,Monterrey,Puebla,Mérida,Salamanca,Toledo,"
    "Cádiz,Málaga,Gijón,Murcia,Burgos,León,Valparaíso,Concepción,Arequipa,Cuzco,Medellín,Cali,Maracaibo,"
    "Santa Cruz,Mar del Plata,San José,Tegucigalpa,Antofagasta,Pamplona,Vigo,Huesca,Jaén,Iquique,Trujillo,"
    "Cochabamba",
    at=",",
)
COUNTRIES = each(
    "España,Chile,Perú,México,Argentina,Colombia,Uruguay,Bolivia,Ecuador,Cuba,Portugal,Francia,Italia,Alemania,"
    "Brasil,Japón,Costa Rica,Honduras,Bélgica,Noruega",
    at=",",
)
ACRONYMS = each(
    "EFE ONU OTAN PSOE CEPAL IBM RENFE UGT FIFA OPEP TELMEX UNICEF CODELCO IBERIA BBVA ENDESA REPSOL SEAT PEMEX "
    "YPF"
)
COMPANIES = each(
    "Aceros Andinos,Minera Cobre Alto,Tejidos Lucero,Energía Solar,Puertos Unidos,Radio Cumbre,Papeles Blancos,"
    "Viñas Viejas,Motores Rápidos,Relojes Luna,Editorial Faro,Autobuses Norte,Cementos Duero,Grupo Alameda,"
    "Frutas Tropicales,Aguas Claras,Muebles Robledo,Astilleros Cantábrico,Hilos Quetzal,Conservas Ría",
    at=",",
)
EVENTS = each(
    "Copa América,Premio Cervantes,Vuelta a España,Feria de Abril,Premio Goya,Liga de Campeones,Plan Marshall,"
    "Premio Nobel,Carnaval,Constitución,Semana Santa,Festival de Viña,Premio Planeta,Ley de Costas,Copa Davis,"
    "Expo,Camino de Santiago,Bienal,Premio Ondas,Operación Salida",
    at=",",
)
PRIZES = each(
    "Premio Cervantes,Premio Goya,Premio Planeta,Premio Nobel,Premio Ondas,Premio Alfaguara,Premio Nadal,"
    "Premio Pritzker,Premio Rulfo,Premio Biznaga",
    at=",",
)
MONTHS = each("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre")
JOBS = each(
    "médica,profesor,ingeniera,abogado,periodista,arquitecta,cocinero,pianista,bióloga,carpintero,traductora,"
    "astrónomo,enfermera,electricista,fotógrafa,panadero,farmacéutico,geóloga,sastre,apicultora",
    at=",",
)
GOODS = each(
    "bicicletas,zapatos,relojes,muebles,lámparas,guitarras,tejidos,motores,juguetes,conservas,vidrios,sombreros,"
    "tambores,chocolates,alfombras,paraguas,velas,cerámicas,bombillas,herraduras",
    at=",",
)
RIVERS = each("Ebro Tajo Duero Mapocho Paraná Orinoco Magdalena Guadalquivir Rímac Segura Ucayali Pilcomayo")

# Nouns, adjectives and verbs that bend; unseen ones at the end.
NOUNS_M = each(
    "libro perro camino gobierno partido equipo árbol río mercado jardín tren barco médico vecino pueblo periódico "
    "edificio proyecto problema acuerdo discurso cuadro puente trabajo vino traje sobre coche balcón cañón faro "
    "glaciar molino tejado ungüento acantilado"
)
NOUNS_F = each(
    "casa calle mesa ciudad canción carta escuela ventana montaña playa noticia empresa ley reunión película "
    "historia iglesia plaza lluvia cuenta luz voz pared flor niña reina máquina guerra decisión tormenta bandera "
    "antorcha brújula cosecha muralla golondrina"
)
ADJECTIVES = each(
    "nuevo viejo blanco negro pequeño largo alto bajo rojo grande importante difícil público famoso antiguo "
    "moderno tranquilo verde fuerte útil extraño hermoso lento rápido profundo amable estrecho áspero fértil "
    "luminoso"
)
# third person singular, plural, infinitive, participle
TRANSITIVE = tuple(
    tuple(forms.split())
    for forms in (
        "compra compran comprar comprado", "vende venden vender vendido", "lee leen leer leído",
        "mira miran mirar mirado", "pinta pintan pintar pintado", "busca buscan buscar buscado",
        "encontró encontraron encontrar encontrado", "visitó visitaron visitar visitado",
        "abrió abrieron abrir abierto", "cerró cerraron cerrar cerrado", "vio vieron ver visto",
        "recibió recibieron recibir recibido", "defiende defienden defender defendido",
        "cuenta cuentan contar contado", "perdió perdieron perder perdido", "llevó llevaron llevar llevado",
        "construye construyen construir construido", "esconde esconden esconder escondido",
        "repara reparan reparar reparado", "dibujó dibujaron dibujar dibujado",
    )
)  # fmt: skip
INTRANSITIVE = tuple(
    tuple(forms.split())
    for forms in (
        "vive viven", "duerme duermen", "llegó llegaron", "vino vinieron", "camina caminan", "trabaja trabajan",
        "espera esperan", "murió murieron", "canta cantan", "creció crecieron", "viaja viajan", "flota flotan",
    )
)  # fmt: skip
ADVERBS = each(
    "hoy ayer mañana siempre nunca aquí allí lentamente rápidamente también ahora cerca lejos bien tarde temprano "
    "quizá apenas despacio raramente"
)
