"""Aisles: some twenty groups of product categories that profile features, offers and rules speak of.

The data have 32 departments, of which GROCERY alone holds two fifths of all products, and 300 product categories.
Aisles lie in between: a household's share of spending by aisle fits into its profile, and still tells a pet owner
from a young family.
"""

from collections.abc import Mapping
from types import MappingProxyType

AISLES: tuple[str, ...] = (
    "produce",
    "meat",
    "packaged_meat",
    "seafood",
    "deli",
    "bakery",
    "dairy",
    "frozen",
    "breakfast",
    "snacks",
    "drinks",
    "pantry",
    "baking",
    "household",
    "baby",
    "pet",
    "health",
    "personal_care",
    "natural",
    "general",
    "alcohol_tobacco",
    "fuel",
)
"""Order is part of the feature spec; `general` takes what has no other aisle."""

_BY_DEPARTMENT: Mapping[str, str] = MappingProxyType(
    {
        "COSMETICS": "personal_care",
        "DELI": "deli",
        "FUEL": "fuel",
        "FROZEN GROCERY": "frozen",
        "GROCERY": "pantry",
        "MEAT": "meat",
        "MEAT-PCKGD": "packaged_meat",
        "NUTRITION": "natural",
        "PASTRY": "bakery",
        "PRODUCE": "produce",
        "SALAD BAR": "deli",
        "SEAFOOD": "seafood",
        "SEAFOOD-PCKGD": "seafood",
        "SPIRITS": "alcohol_tobacco",
    }
)

_CATEGORIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bakery": ("BAKED BREAD/BUNS/ROLLS", "BAKED SWEET GOODS"),
        "dairy": (
            "FLUID MILK PRODUCTS",
            "CHEESE",
            "YOGURT",
            "EGGS",
            "BUTTER",
            "MARGARINES",
            "MISC. DAIRY",
            "MILK BY-PRODUCTS",
            "REFRGRATD DOUGH PRODUCTS",
            "REFRGRATD JUICES/DRNKS",
        ),
        "frozen": (
            "FRZN MEAT/MEAT DINNERS",
            "FROZEN PIZZA",
            "ICE CREAM/MILK/SHERBTS",
            "FRZN VEGETABLE/VEG DSH",
            "FRZN NOVELTIES/WTR ICE",
            "FRZN BREAKFAST FOODS",
            "FROZEN PIE/DESSERTS",
            "FRZN POTATOES",
            "FROZEN BREAD/DOUGH",
            "FRZN ICE",
            "FRZN FRUITS",
            "FRZN JCE CONC/DRNKS",
            "FROZEN CHICKEN",
        ),
        "breakfast": (
            "COLD CEREAL",
            "HOT CEREAL",
            "CONVENIENT BRKFST/WHLSM SNACKS",
            "MOLASSES/SYRUP/PANCAKE MIXS",
        ),
        "snacks": (
            "BAG SNACKS",
            "CRACKERS/MISC BKD FD",
            "COOKIES/CONES",
            "SNACK NUTS",
            "WAREHOUSE SNACKS",
            "CANDY - PACKAGED",
            "CANDY - CHECKLANE",
            "POPCORN",
        ),
        "drinks": (
            "SOFT DRINKS",
            "CANNED JUICES",
            "COFFEE",
            "COFFEE FILTERS",
            "WATER - CARBONATED/FLVRD DRINK",
            "ISOTONIC DRINKS",
            "PWDR/CRYSTL DRNK MX",
            "TEAS",
            "COCOA MIXES",
            "NEW AGE",
        ),
        "alcohol_tobacco": (
            "BEERS/ALES",
            "DOMESTIC WINE",
            "IMPORTED WINE",
            "MISC WINE",
            "LIQUOR",
            "CIGARETTES",
            "CIGARS",
            "TOBACCO OTHER",
            "SMOKING CESSATIONS",
        ),
        "baking": (
            "BAKING MIXES",
            "BAKING NEEDS",
            "SHORTENING/OIL",
            "SPICES & EXTRACTS",
            "SUGARS/SWEETNERS",
            "FLOUR & MEALS",
            "CANNED MILK",
            "DRY MIX DESSERTS",
            "SYRUPS/TOPPINGS",
        ),
        "household": (
            "BATH TISSUES",
            "LAUNDRY DETERGENTS",
            "FD WRAPS/BAGS/TRSH BG",
            "HOUSEHOLD CLEANG NEEDS",
            "PAPER TOWELS",
            "PAPER HOUSEWARES",
            "LAUNDRY ADDITIVES",
            "DISHWASH DETERGENTS",
            "FACIAL TISS/DNR NAPKIN",
            "AIR CARE",
            "BLEACH",
            "BROOMS AND MOPS",
            "PLASTIC HOUSEWARES",
            "KITCHEN GADGETS",
            "COOKWARE & BAKEWARE",
            "CHARCOAL AND LIGHTER FLUID",
            "DISPOSIBLE FOILWARE",
            "BATTERIES",
            "ELECTRICAL SUPPPLIES",
            "HARDWARE SUPPLIES",
            "HOME FREEZING & CANNING SUPPLY",
            "IRONING AND CHEMICALS",
            "INSECTICIDES",
        ),
        "baby": (
            "DIAPERS & DISPOSABLES",
            "INFANT FORMULA",
            "BABY FOODS",
            "BABYFOOD",
            "BABY HBC",
            "INFANT CARE PRODUCTS",
        ),
        "pet": ("DOG FOODS", "CAT FOOD", "CAT LITTER", "PET CARE SUPPLIES", "BIRD SEED"),
        "health": (
            "ANALGESICS",
            "COLD AND FLU",
            "VITAMINS",
            "DIETARY AID PRODUCTS",
            "FIRST AID PRODUCTS",
            "SINUS AND ALLERGY",
            "ANTACIDS",
            "LAXATIVES",
            "EYE AND EAR CARE PRODUCTS",
            "ADULT INCONTINENCE",
            "FAMILY PLANNING",
            "FOOT CARE PRODUCTS",
            "GLASSES/VISION AIDS",
        ),
        "personal_care": (
            "HAIR CARE PRODUCTS",
            "HAIR CARE ACCESSORIES",
            "ETHNIC PERSONAL CARE",
            "ORAL HYGIENE PRODUCTS",
            "SHAVING CARE PRODUCTS",
            "SOAP - LIQUID & BAR",
            "HAND/BODY/FACIAL PRODUCTS",
            "FEMININE HYGIENE",
            "DEODORANTS",
            "SUNTAN",
            "PERSONAL CARE APPLIANCES",
        ),
    }
)

_BY_CATEGORY: Mapping[str, str] = MappingProxyType(
    {category: aisle for aisle, categories in _CATEGORIES.items() for category in categories}
)
_KEEPS_ITS_DEPARTMENT = frozenset({"NUTRITION", "PASTRY", "DELI", "MEAT", "MEAT-PCKGD", "SEAFOOD", "SEAFOOD-PCKGD"})


def aisle_of(department: str, category: str) -> str:
    """Aisle of a product; `category` may be empty where the data have none."""
    if department in _KEEPS_ITS_DEPARTMENT:
        return _BY_DEPARTMENT[department]
    return _BY_CATEGORY.get(category) or _BY_DEPARTMENT.get(department, "general")
